"""Compiles the fused kernels of a program on all CPU cores, before the program runs.

Design choices: a dry run of the program finds the kernels that it needs. Triton calls a hook for each kernel that it
has not compiled, and skips the kernel if the hook returns True. Which kernels are needed does not depend on values, so
the dry run finds all of them. The dry run computes wrong numbers, so the caller must restore everything that the
program changed. Threads suffice, because Triton compiles mostly without holding Python's global lock (GIL).
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from triton import knobs

Needed = tuple[Any, str]  # a kernel, and the data that Triton needs to compile it


def compile_ahead(program: Callable[[], None]) -> int:
    """Compile all kernels that a program launches and that are not compiled yet; return their number.

    The program runs once without these kernels.
    """
    needed = needed_by(program)
    compile_all(needed, threads=len(os.sched_getaffinity(0)))
    return len(needed)


def needed_by(program: Callable[[], None]) -> list[Needed]:
    """Find the kernels of a program that this process has not compiled, by running it without them."""
    found: dict[tuple[str, str], Needed] = {}

    def leave_out(*, key: str, fn: Any, compile: dict[str, Any], **_: Any) -> bool:
        found[fn.name, key] = (fn.jit_function, compile["specialization_data"])
        return True

    with knobs.runtime.scope():
        knobs.runtime.jit_cache_hook = leave_out
        program()
    return list(found.values())


def compile_all(needed: Sequence[Needed], threads: int) -> None:
    """Compile kernels, or find them in Triton's cache."""
    device = torch.cuda.current_device() if torch.cuda.is_available() else -1

    def compile_one(one: Needed) -> None:
        kernel, what = one
        with torch.cuda.device(device):  # the current device is set for each thread
            kernel.preload(what)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(compile_one, needed))
