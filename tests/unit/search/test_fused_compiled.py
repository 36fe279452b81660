"""Triton compiles the fused kernels to binaries for a GPU that is not here; their instructions are counted."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import pytest
import torch

from benchmarks._compiling import for_an_h100
from benchmarks._instructions import TRIPS, in_loops, instructions
from benchmarks._kernels import Kernels, as_on_a_gpu
from benchmarks._workloads import maps_of_type, search_on_meta
from dropnas.search.config import SearchConfig
from dropnas.space.spaces import ORIGINAL

pytest.importorskip("triton")

CONVOLUTIONS = {"convolve", "back_to_dense", "back_to_maps"}  # four fifths of all instructions
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the tests on a GPU compile them, too")


@contextmanager
def compiling_only(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the launched kernels, which are compiled but not run."""
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


def program(dtype: torch.dtype, shares: int = 3) -> Callable[[], None]:
    """The edges from the first state of the paper's first cell, forward and backward, with every kernel."""
    from dropnas.search.triton.fused import ConvolutionKind, LeavingConvolutions, mixed

    kinds = (
        ConvolutionKind(3, 2, False),
        ConvolutionKind(5, 2, False),
        ConvolutionKind(3, 1, True),
        ConvolutionKind(5, 1, True),
    )
    leaving = LeavingConvolutions(1, 4, 1, kinds, 1e-5)
    of_kind = [4 * 16 * (kind.size**2 + 16) for kind in kinds]
    state = torch.empty(96, 32, 32, 16, dtype=dtype, device="meta", requires_grad=True)
    joined = [torch.empty(sum(sizes), device="meta", requires_grad=True) for sizes in (of_kind, of_kind[2:])]
    shared = torch.empty(shares, *state.shape, dtype=dtype, device="meta", requires_grad=True)
    weights = torch.empty(4 + shares, 4, device="meta", requires_grad=True)

    def run() -> None:
        maps = mixed(state, joined, shared, weights, leaving).maps
        torch.autograd.grad(maps, [state, *joined, shared, weights], torch.empty_like(maps))

    return run


def test_kernels_compile_for_an_h100_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    with compiling_only(monkeypatch) as launched:
        program(torch.float32, shares=0)()
    assert set(launched) > CONVOLUTIONS


def test_what_a_program_needs_is_compiled_ahead() -> None:
    """In a separate process, in which nothing is compiled and Triton is imported once; instructions are counted."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        issued = pool.submit(check_compiling_ahead).result()
    assert set(issued) == CONVOLUTIONS
    assert sum(issued.values()) < 0.3e9  # warp instructions; a step has about thirty times as many


def check_compiling_ahead() -> dict[str, int]:
    from triton.runtime.jit import JITFunction

    from dropnas.search.triton.precompile import compile_ahead

    needs = program(torch.bfloat16)
    with pytest.MonkeyPatch.context() as patch:
        with compiling_only(patch) as launched:
            assert compile_ahead(needs) >= len(TRIPS)
            assert not launched
            patch.setattr(JITFunction, "_do_compile", lambda self, *_, **__: pytest.fail(f"{self.__name__} was not"))
            needs()
            assert set(launched) == set(TRIPS)
            assert compile_ahead(needs) == 0
        return instructions(needs, CONVOLUTIONS)


def test_a_step_of_the_paper_stays_within_its_kernels_and_bytes() -> None:
    config = SearchConfig(precision="bf16", kernels="triton")
    step = search_on_meta(config, ORIGINAL, seeds=1)
    with maps_of_type("bf16"), as_on_a_gpu():
        step(config.batch_size)  # for the one-time work
        with Kernels() as counter:
            step(config.batch_size)
    assert counter.kernels.total() < 4_600
    assert counter.bytes.total() < 33e9
    assert not counter.thin


def test_products_with_a_short_side_and_a_long_sum_are_noted() -> None:
    left, right = torch.empty(2, 4, 200_000, device="meta"), torch.empty(2, 200_000, 8, device="meta")
    with Kernels() as counter:
        torch.bmm(left, right)
        torch.bmm(left[..., :1000], right[:, :1000])
        torch.bmm(right.transpose(1, 2), right)
        torch.baddbmm(torch.empty(2, 4, 8, device="meta"), left, right)
    assert counter.thin == {"4 x 200000 x 8": 2}


def test_instructions_count_by_the_loops_around_them() -> None:
    text = """
.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   IADD3 R2, R2, 0x1, RZ ;
.L_x_0:
        /*0020*/                   FADD R3, R3, R4 ;
        /*0030*/              @P0  BRA `(.L_x_0) ;
        /*0040*/              @!P1 BRA `(.L_x_1) ;
        /*0050*/                   EXIT ;
.L_x_2:
        /*0060*/                   BRA `(.L_x_2);
        /*0070*/                   NOP;
"""
    assert in_loops(text) == {(): 3, (0,): 2, (0, 1): 2}
