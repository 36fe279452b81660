"""Triton compiles the fused kernels for a GPU that is not here, to the last binary."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import pytest
import torch

from benchmarks._compiling import for_an_h100

pytest.importorskip("triton")


ALL = {
    *("convolve", "combine", "back_to_weights", "back_to_maps", "back_through_norm"),
    *("mix", "back_to_mixing", "back_to_answers"),
}
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the tests on a GPU compile them, too")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    with compiling_only(monkeypatch) as launched:
        yield launched


@contextmanager
def compiling_only(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the kernels that are launched; they are compiled, and not run."""
    from triton.runtime.jit import JITFunction

    found, run = list[str](), JITFunction.run

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **constants: Any) -> Any:
        kernel = run(self, *args, grid=grid, warmup=True, **constants)
        if kernel is not None:
            assert "cubin" in kernel.asm
            found.append(self.__name__)
        return kernel

    patch.setattr(JITFunction, "run", compile_only)
    with for_an_h100():
        yield found


def program(dtype: torch.dtype, channels: int) -> Callable[[], None]:
    """Two operations mixed, forward and backward, with every kernel in it."""
    from dropnas.search.triton.fused import Shape, convolved, mixed

    maps = torch.randn(2, 8, 8, channels, dtype=dtype, requires_grad=True)
    weights = [
        torch.randn(1, channels, 1, 3, 3, requires_grad=True),
        torch.randn(1, channels, channels, 1, 1, requires_grad=True),
    ]

    def run() -> None:
        first = convolved(maps, None, *weights, Shape(1, 3, 1, 2, 1e-5))
        second = convolved(maps, first, *weights, Shape(1, 3, 1, 1, 1e-5))
        (total,) = mixed([first, second], torch.ones(2, 1, requires_grad=True), 1)
        total.sum().backward()

    return run


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernels_compile_for_an_h100(dtype: torch.dtype, compiled: list[str]) -> None:
    program(dtype, channels=16)()
    assert set(compiled) == ALL


def test_what_a_program_needs_is_compiled_ahead() -> None:
    """In a process of its own, where nothing is compiled and Triton was imported once."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(check_compiling_ahead).result()


def check_compiling_ahead() -> None:
    from triton.runtime.jit import JITFunction

    from dropnas.search.triton.precompile import compile_ahead

    needs = program(torch.bfloat16, channels=16)
    with pytest.MonkeyPatch.context() as patch, compiling_only(patch) as launched:
        assert compile_ahead(needs) >= len(ALL)
        assert not launched
        patch.setattr(JITFunction, "_do_compile", lambda self, *_, **__: pytest.fail(f"{self.__name__} was not"))
        needs()
        assert set(launched) == ALL
        assert compile_ahead(needs) == 0
