"""Triton compiles the fused kernels for a GPU that is not here, to the last binary."""

from typing import Any

import pytest
import torch

pytest.importorskip("triton")


class NoDriver:
    """Tells the compiler of a GPU that is not there."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="the tests on a GPU compile them, too")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernels_compile_for_an_h100(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    from dropnas.search.fast.fused import Shape, convolved, mixed

    compiled, run = set(), JITFunction.run

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **constants: Any) -> Any:
        kernel = run(self, *args, grid=grid, warmup=True, **constants)
        assert "cubin" in kernel.asm
        compiled.add(self.__name__)
        return kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(JITFunction, "run", compile_only)
    monkeypatch.setattr(driver, "_active", NoDriver())
    maps = torch.randn(2, 8, 8, 16, dtype=dtype, requires_grad=True)
    weights = [torch.randn(1, 16, 1, 3, 3, requires_grad=True), torch.randn(1, 16, 16, 1, 1, requires_grad=True)]
    first = convolved(maps, None, *weights, Shape(1, 3, 1, 2, 1e-5))
    second = convolved(maps, first, *weights, Shape(1, 3, 1, 1, 1e-5))
    (total,) = mixed([first, second], torch.ones(2, 1, requires_grad=True), 1)
    total.sum().backward()
    assert compiled == {
        *("convolve", "combine", "back_to_weights", "back_to_maps", "back_through_norm"),
        *("mix", "back_to_mixing", "back_to_answers"),
    }
