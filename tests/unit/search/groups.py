"""Small groups of searches, and functions to train and compare them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dropnas.data.arrays import ImageArrays
from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.search.state import SeedRun
from dropnas.search.strategy import Batch
from dropnas.space.spaces import SearchSpace
from dropnas.training.graphs import Recorder
from dropnas.training.seeding import generator

SIDE, CLASSES, BATCH = 4, 5, 4
OFTEN = {"rate_parameterised": 0.3**4, "rate_non_parameterised": 0.4**4}  # drops often enough for tests
SMALL = SearchSpace("small", ("dil_conv_3x3", "sep_conv_3x3"), ("none", "skip_connect"))  # as a user could write it
CONFIG = SearchConfig(  # both clips are active, decay is large, and alphas change quickly
    cells=3,
    channels=2,
    batch_size=BATCH,
    epochs=3,
    gradient_clip=0.5,
    weight_decay=0.05,
    alpha_learning_rate=0.02,
    alpha_weight_decay=0.3,
    crop_padding=1,
)
TINY = replace(CONFIG, cells=1, options=OFTEN)


def images_of(count: int, device: str = "cpu", side: int = SIDE) -> ImageArrays:
    """Images of noise; mean and deviation have the default type, like the images in a step."""
    pixels = torch.randint(256, (count, 1, side, side), generator=generator(0, "images"), dtype=torch.uint8)
    mean, std = (torch.full((3,), value, device=device) for value in (0.5, 0.3))
    return ImageArrays(pixels.to(device), torch.arange(count, device=device) % CLASSES, CLASSES, mean, std)


def group_of(
    config: SearchConfig = TINY,
    seeds: Sequence[int] = (3, 5),
    space: SearchSpace = SMALL,
    images: int = 7,
    recorder: Recorder | None = None,
    device: str = "cpu",
    side: int = SIDE,
) -> SeedGroup:
    """A group with, by default, two steps per epoch, the last one of three images."""
    configs = [replace(config, seed=seed) for seed in seeds]
    return SeedGroup(configs, space, images_of(images, device, side), device, recorder)


def train(group: SeedGroup, last: int, first: int = 0) -> list[Any]:
    """Run the steps `first` to `last`, counted over epochs; return losses and rows."""
    found: list[Any] = []
    for number in range(first, last):
        epoch, step = divmod(number, group.steps_per_epoch)
        if not step:
            group.start_epoch(epoch)
        found.append(group.step(epoch, step).clone())
        if step + 1 == group.steps_per_epoch:
            found.append(group.finish_epoch(epoch))
    return found


def recorded(group: SeedGroup) -> list[Batch]:
    """Record the batches that the strategy receives from now on."""
    seen: list[Batch] = []
    step = group.strategy.step

    def noting(state: Any, batch: Batch) -> Any:
        seen.append(batch)
        return step(state, batch)

    group.strategy.step = noting  # type: ignore[method-assign]
    return seen


def resumed(group: SeedGroup, states: Sequence[dict[str, Any]], at: int) -> SeedGroup:
    """Make a group that continues from states after `at` steps."""
    group.start_epoch(at // group.steps_per_epoch)
    group.load_state_dicts(states)
    return group


def values(group: SeedGroup, index: int) -> dict[str, Tensor]:
    """All tensors of one search."""
    state = group.state_dicts()[index]
    return {**state["supernet"], **state["tensors"]}


def assert_equal(ours: SeedGroup, theirs: SeedGroup) -> None:
    """Compare to the bit, including histories."""
    for index, (run, other) in enumerate(zip(ours.runs, theirs.runs, strict=True)):
        left, right = values(ours, index), values(theirs, index)
        assert left.keys() == right.keys()
        assert [name for name in left if not torch.equal(left[name], right[name])] == []
        assert run.history == other.history


def assert_near(ours: dict[str, Tensor], theirs: dict[str, Tensor], agreement: float = 1e-9) -> None:
    """Compare relative to each tensor's largest magnitude; a mean that should be 0, relative to the deviation 1."""
    assert ours.keys() == theirs.keys()
    for name, right in theirs.items():
        left, right = ours[name].cpu().double(), right.cpu().double()
        limit = agreement * max(float(right.abs().max()), 1.0 if "running_mean" in name else 0.0)
        assert torch.equal(left, right) or float((left - right).abs().max()) <= limit, name


def leaves_of(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Trainable copies."""
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def run_of(
    space: SearchSpace, architecture: Mapping[str, Tensor], memory: Mapping[str, Tensor] | None = None
) -> SeedRun:
    """A finished search, with the parts that a derivation reads."""
    nothing = torch.zeros(0)
    return SeedRun(CONFIG, space, images_of(2), nothing, nothing, None, dict(architecture), dict(memory or {}))  # type: ignore[arg-type]
