"""What makes two runs with the same seed equal, set at the start of each run.

Design: on a CPU an operation without a deterministic form is an error; on a GPU, where a few have none, it is torch's
warning. The global generators are seeded too: our code never draws from them, a user's own operation may.
`torch.use_deterministic_algorithms` sets the same, but also in torch's compiler, which it imports. That
takes almost as long as importing torch itself, and nothing here is compiled.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dropnas.training.seeding import seed_global_generators


def apply(seed: int, device: str, threads: int, *, deterministic: bool = True) -> None:
    """Set torch up so that the run depends on nothing but its seed, its device and the number of threads.

    Args:
        deterministic: false gives cuDNN its choice of kernels instead, by timing; on a CPU nothing changes.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error" if device.startswith("cpu") else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic  # chooses by timing, so it differs from start to start
    torch.backends.cudnn.deterministic = deterministic
    seed_global_generators(seed)


@contextmanager
def needless() -> Iterator[None]:
    """Around sums of whole numbers, which are the same in any order.

    The deterministic form of `scatter_add` sorts on a GPU, and in some versions of torch it asks the host, which no
    capture allows.
    """
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
