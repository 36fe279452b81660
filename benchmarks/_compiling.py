"""Compiles the fused kernels to binaries for a GPU that this machine does not have."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


class NoGPU:
    """Stands in for Triton's driver and reports an H100 as the GPU to compile for."""

    def get_current_target(self) -> Any:
        """Return an H100: compute capability 9.0, 32 threads in a warp."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        """The only device."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """The only stream."""
        return 0


@contextmanager
def for_an_h100() -> Iterator[None]:
    """Inside this context, kernels are compiled for an H100, starting from an empty cache."""
    from triton.runtime import driver

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, TRITON_CACHE_DIR=folder),
        mock.patch.object(driver, "_active", NoGPU()),
    ):
        yield


def seconds_of_compiling(program: Callable[[], None]) -> dict[str, float]:
    """Count the kernels in a program; time their compilation in seconds, with one thread and with one per core."""
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
