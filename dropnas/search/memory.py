"""How many searches train as one group: as many as memory holds, by what a step of them is seen to take.

Design choices: on a GPU the peak of one search and that of two say what a further one takes. Each peak covers both
programs of an epoch, for whole batches and for a smaller last one, from their warm-up to their graphs and the
allocator's reserve. Each phase of a search is probed in its last epoch, in which all parameters move.
On a CPU a whole step may take a minute, so two images pass through one search, and what autograd keeps of them is
scaled to a batch; it is compared with the memory that the job asked for, since what else the machine does with its own
is not known.
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

USED = 0.9  # share of the memory; what is left is for what no measurement sees
FEW = (2, 4)  # images; batch norm wants two
MIB = 2**20
Peak = Callable[[Callable[[], None]], int | None]  # the most bytes that some work takes; None where they do not fit


def fitting(
    configs: Sequence[SearchConfig],
    images: ImageArrays,
    workspace: Workspace,
    make_group: Callable[[Sequence[SearchConfig]], SeedGroup],
) -> int:
    """How many searches like these fit, at least one.

    Raises:
        DropnasError: not even one fits on the GPU.
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
    """How many fit in so many bytes, by the peaks of one search and of two."""
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
    """In each phase a first step on a whole batch and one on the last batch, which may be smaller."""
    last = len(group.sizes) - 1
    for epoch in _last_epochs(group):
        group.start_epoch(epoch)
        group.step(epoch, 0)
        group.tables.counter.fill_(last)
        group.step(epoch, last)


def _last_epochs(group: SeedGroup) -> list[int]:
    """Of each phase."""
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
    """Bytes that autograd keeps of a batch of one search, by a line through what it keeps of two small ones."""
    share = make_strategy(config, find_space(config.space)).weight_share
    parts = 1 if share == 1 else ceil(1 / min(share, 1 - share))  # so many images that w and alphas have a batch each
    few, more = (_kept(replace(config, batch_size=size), _first(images, parts * size)) for size in FEW)
    an_image = (more - few) / (FEW[1] - FEW[0])
    return few + (config.batch_size - FEW[0]) * an_image


def _first(images: ImageArrays, count: int) -> ImageArrays:
    return replace(images, images=images.images[:count], labels=images.labels[:count])


def _kept(config: SearchConfig, images: ImageArrays) -> int:
    """Bytes that autograd keeps of a step of the phase that needs most; what is kept twice counts once."""
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
