"""Makes runs with the same seed reproducible. The settings are applied at the start of each run.

Design choices: on a CPU, torch raises an error if an operation has no deterministic implementation. On a GPU, torch
only warns, because a few operations have only nondeterministic implementations there. The global generators are seeded
too: our code never draws from them, but a user's own operation may. `torch.use_deterministic_algorithms` is not used,
because it imports torch's compiler, which takes almost as long as importing torch itself.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dropnas.training.seeding import seed_global_generators


def apply(seed: int, device: str, threads: int, *, deterministic: bool = True) -> None:
    """Set up torch so that the run depends only on its seed, its device and the number of threads.

    On a GPU, `deterministic=False` lets cuDNN choose its kernels by timing.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for cuBLAS to be deterministic
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error" if device.startswith("cpu") else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic  # benchmark mode chooses kernels by timing, so runs can differ
    torch.backends.cudnn.deterministic = deterministic
    seed_global_generators(seed)


@contextmanager
def needless() -> Iterator[None]:
    """Switch off deterministic mode for sums of integers, which do not depend on the order of summation.

    On a GPU, the deterministic `scatter_add` sorts its input first. In some versions of torch it also synchronises with
    the host, which is not allowed while a CUDA graph is captured.
    """
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
