"""Compiling the fused kernels for a GPU that is not here, to the last binary."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


class NoGPU:
    """In place of Triton's driver: names an H100 to the compiler."""

    def get_current_target(self) -> Any:
        """Compute capability 9.0."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """The only one."""
        return 0


@contextmanager
def for_an_h100() -> Iterator[None]:
    """Kernels are compiled for one here, from nothing."""
    from triton.runtime import driver

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, TRITON_CACHE_DIR=folder),
        mock.patch.object(driver, "_active", NoGPU()),
    ):
        yield


def seconds_of_compiling(program: Callable[[], None]) -> dict[str, float]:
    """To compile what a program needs, by one thread and by one on each core."""
    from dropnas.search.triton.precompile import compile_all, needed_by

    with for_an_h100():
        needed = needed_by(program)
    found: dict[str, float] = {"kernels": len(needed)}
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        with for_an_h100():
            started = time.perf_counter()
            compile_all(needed, threads)
            found[f"seconds, threads: {threads}"] = round(time.perf_counter() - started, 1)
    return found
