"""How many searches train together: as many as memory holds, by what a step of them is seen to take.

Design choices: every operation is computed whatever is dropped, so one step is like another. On a GPU the peak of one
search and that of two tell what a further one takes; graphs and the allocator's reserve are in it. On a CPU a whole
step may take a minute, so two images pass through one search, and what autograd keeps of them is scaled to a batch;
it is held against the memory that the job asked for, since what else the machine does with its own is not known.
"""

import gc
import resource
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dropnas.data.arrays import ImageArrays
from dropnas.search.config import SearchConfig
from dropnas.search.together import SearchesTogether
from dropnas.space.spaces import find_space
from dropnas.workspace import Workspace

USED = 0.9  # share of the memory; what is left is for what no measurement sees
FEW = (2, 4)  # images; batch norm wants two
MIB = 2**20


def fitting(configs: Sequence[SearchConfig], images: ImageArrays, workspace: Workspace) -> int:
    """How many searches like these fit at once, at least one."""
    if workspace.device.startswith("cuda"):
        return _fitting_on_gpu(configs, images, workspace.device)
    free = USED * workspace.memory_mb * MIB - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(1, int(free / _needed(configs[0], images)))


def _fitting_on_gpu(configs: Sequence[SearchConfig], images: ImageArrays, device: str) -> int:
    free = USED * torch.cuda.mem_get_info(device)[0]
    one, two = (_peak(configs[:count], images, device) for count in (1, 2))
    if one is None or two is None:
        return 1
    return max(1, 1 + int((free - one) / max(two - one, 1)))


def _peak(configs: Sequence[SearchConfig], images: ImageArrays, device: str) -> int | None:
    """The most bytes that two steps reserve, captured graphs included; None where they do not fit."""
    _emptied()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    try:
        _steps(configs, images, device, count=2)
        return torch.cuda.max_memory_reserved(device) - before
    except torch.OutOfMemoryError:
        return None
    finally:
        _emptied()


def _steps(configs: Sequence[SearchConfig], images: ImageArrays, device: str, count: int) -> None:
    searches = SearchesTogether(configs, find_space(configs[0].space), images, device)
    searches.start_epoch(0)
    for step in range(min(count, searches.steps_per_epoch)):
        searches.step(0, step)


def _emptied() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def _needed(config: SearchConfig, images: ImageArrays) -> float:
    """Bytes that autograd keeps of a batch of one search, by a line through what it keeps of two small ones."""
    few, more = (_kept(replace(config, batch_size=size), _first(images, size)) for size in FEW)
    an_image = (more - few) / (FEW[1] - FEW[0])
    return few + (config.batch_size - FEW[0]) * an_image


def _first(images: ImageArrays, count: int) -> ImageArrays:
    return replace(images, images=images.images[:count], labels=images.labels[:count])


def _kept(config: SearchConfig, images: ImageArrays) -> int:
    """Bytes that autograd keeps of a step; what is kept twice counts once."""
    kept: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        _steps([config], images, "cpu", count=1)
    return sum(kept.values())
