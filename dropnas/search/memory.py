"""How many searches train as one group: as many as fit into memory, estimated from measured steps.

Design choices: on a GPU, the memory of each further search is the peak of two searches minus the peak of one. A peak is
measured over a step on a whole batch and one on the last batch, and includes their warm-up, their CUDA graphs and the
memory that the allocator reserves. Each phase of a search is measured in its last epoch, in which all parameters
change. On a CPU, a whole step may take a minute. Two batches of a few images therefore pass through one supernet, and
the memory that autograd keeps is extrapolated. The result is compared with the memory that the job requested.
"""

import gc
import resource
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from math import ceil

import torch
from torch import Tensor

from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategy import make_strategy
from dropnas.space.spaces import find_space
from dropnas.workspace import Workspace

USED = 0.9  # fraction of the memory to use; the rest is a reserve for what the measurement misses
SMALL_BATCHES = (2, 4)  # images in the two small batches on a CPU; batch norm needs at least two
MIB = 2**20
Peak = Callable[[Callable[[], None]], int | None]  # peak memory of some work in bytes; None if it does not fit


def fitting(
    configs: Sequence[SearchConfig],
    images: ImageArrays,
    workspace: Workspace,
    make_group: Callable[[Sequence[SearchConfig]], SeedGroup],
) -> int:
    """Return how many of these searches fit into memory, at least one.

    Raises:
        DropnasError: not even one search fits on the GPU.
    """
    device = workspace.device
    if device.startswith("cuda"):
        free = USED * torch.cuda.mem_get_info(device)[0]
        return fitting_by_peaks(free, configs, make_group, lambda work: _peak_on_gpu(work, device))
    free = USED * workspace.memory_mb * MIB - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(1, int(free / _needed(configs[0], images)))


def fitting_by_peaks(
    free: float, configs: Sequence[SearchConfig], make_group: Callable[[Sequence[SearchConfig]], SeedGroup], peak: Peak
) -> int:
    """Return how many searches fit into `free` bytes, from the peaks of one search and of two."""
    one, two = (peak(lambda count=count: _train_each_size(make_group(configs[:count]))) for count in (1, 2))  # type: ignore[misc]
    if one is None or one > free:
        raise DropnasError(
            f"one search does not fit into the {free / 2**30:.1f} GiB that are free on the GPU",
            remedy="use a smaller batch_size, precision bf16, or a GPU with more memory",
        )
    if two is None:
        return 1
    return max(1, 1 + int((free - one) / max(two - one, 1)))


def _train_each_size(group: SeedGroup) -> None:
    """In each phase, train one step on a whole batch and one on the last batch, which may be smaller."""
    last = len(group.sizes) - 1
    for epoch in _last_epochs(group):
        group.start_epoch(epoch)
        group.step(epoch, 0)
        group.tables.counter.fill_(last)
        group.step(epoch, last)


def _last_epochs(group: SeedGroup) -> list[int]:
    """The last epoch of each phase."""
    return [end - 1 for end in accumulate(phase.epochs for phase in group.strategy.phases)]


def _peak_on_gpu(work: Callable[[], None], device: str) -> int | None:
    _release_unused()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    try:
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_reserved(device) - before
    except torch.OutOfMemoryError:
        return None
    finally:
        _release_unused()


def _release_unused() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def _needed(config: SearchConfig, images: ImageArrays) -> float:
    """Estimate the bytes that autograd keeps for a batch of one search, linearly from two small batches."""
    share = make_strategy(config, find_space(config.space)).weight_share
    parts = 1 if share == 1 else ceil(1 / min(share, 1 - share))  # images for a batch to train w and one to train alpha
    few, more = (_kept(replace(config, batch_size=size), _first(images, parts * size)) for size in SMALL_BATCHES)
    an_image = (more - few) / (SMALL_BATCHES[1] - SMALL_BATCHES[0])
    return few + (config.batch_size - SMALL_BATCHES[0]) * an_image


def _first(images: ImageArrays, count: int) -> ImageArrays:
    return replace(images, images=images.images[:count], labels=images.labels[:count])


def _kept(config: SearchConfig, images: ImageArrays) -> int:
    """The bytes that autograd keeps in a step of the largest phase; a tensor that is kept twice counts once."""
    group = SeedGroup([config], find_space(config.space), images, "cpu")
    return max(_kept_in(group, epoch) for epoch in _last_epochs(group))


def _kept_in(group: SeedGroup, epoch: int) -> int:
    kept: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    group.start_epoch(epoch)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        group.step(epoch, 0)
    return sum(kept.values())
