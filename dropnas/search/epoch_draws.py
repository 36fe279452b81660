"""All random numbers of an epoch of a search, drawn on the host before the epoch's first step.

Design choices: all draws are determined by the seed and the epoch. An epoch therefore has the same numbers in any group
of seeds, on any device, and after any resume. The draws of a smaller last batch are padded to the size of the others;
the padding is never read.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.data import augment, batches
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.state import Tensors
from dropnas.search.strategy import Strategy
from dropnas.space.spaces import EDGES
from dropnas.training.seeding import generator

HELD_OUT_PREFIX = "held_out_"  # prefix of the names of draws for the held-out batch
STRATEGY_PREFIX = "strategy_"  # prefix of the names of the strategy's draws


def draw_epoch(
    config: SearchConfig, strategy: Strategy, trained: Tensor, held_out: Tensor, epoch: int, cells: int
) -> Tensors:
    """Draw the random numbers of one seed for an epoch, on the CPU: tensors (steps, ...).

    Args:
        trained, held_out: indices of the images that train w, and of those that do not.
        cells: number of cells of the supernet in this epoch.

    Raises:
        DropnasError: the strategy draws masks of the wrong shape, or masks that leave an edge empty.
    """
    sizes = batches.sizes(len(trained), config.batch_size)
    order = trained[batches.epoch_order(len(trained), config.seed, epoch)][: sum(sizes)]
    random = generator(config.seed, "augmentation", epoch)
    parts = torch.split(order, sizes)  # type: ignore[no-untyped-call]
    drawn = _stacked([{"order": chosen, **augmentation(config, len(chosen), random)} for chosen in parts])
    if len(held_out):
        others = _stacked([_held_out(config, held_out, epoch, step) for step in range(len(sizes))])
        drawn |= {HELD_OUT_PREFIX + name: values for name, values in others.items()}
    own = strategy.draw(epoch, len(sizes), generator(config.seed, "masks", epoch))
    _check(own, len(sizes), cells, len(strategy.space.operations), config.strategy)
    return drawn | {STRATEGY_PREFIX + name: values for name, values in own.items()}


def part(drawn: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Select the draws whose names start with the prefix, and remove the prefix from the names."""
    return {name.removeprefix(prefix): values for name, values in drawn.items() if name.startswith(prefix)}


def _held_out(config: SearchConfig, held_out: Tensor, epoch: int, step: int) -> Tensors:
    """Draw a random batch of the images that do not train w."""
    order = torch.randperm(len(held_out), generator=generator(config.seed, "held-out", epoch, step))
    chosen = held_out[order[: config.batch_size]]
    random = generator(config.seed, "held-out augmentation", epoch, step)
    return {"order": chosen, **augmentation(config, len(chosen), random)}


def augmentation(config: SearchConfig, size: int, random: torch.Generator) -> Tensors:
    """Draw the augmentation of a batch: the corners of the crops (2, B), and which images are flipped (B,)."""
    corners = augment.draw_crops(size, config.crop_padding, random)
    return {"corners": corners, "flips": augment.draw_flips(size, random) if config.flip else torch.zeros(size).bool()}


def _stacked(of_steps: Sequence[Tensors]) -> Tensors:
    """Stack the draws of all steps, padded to the size of the first step."""
    size = len(of_steps[0]["order"])
    missing = [size - len(each["order"]) for each in of_steps]
    return {
        name: torch.stack([functional.pad(each[name], (0, few)) for each, few in zip(of_steps, missing, strict=True)])
        for name in of_steps[0]
    }


def _check(own: Tensors, steps: int, cells: int, operations: int, strategy: str) -> None:
    """Check that a strategy's draws are tensors on the CPU, and that its masks keep an operation on each edge."""
    if not isinstance(own, dict):
        raise DropnasError(f"draw returns {type(own).__name__}", where=strategy, remedy="a dict of tensors is needed")
    for name, values in own.items():
        if not isinstance(values, Tensor) or values.device.type != "cpu" or values.shape[:1] != (steps,):
            found = f"{tuple(values.shape)} on {values.device}" if isinstance(values, Tensor) else type(values).__name__
            raise DropnasError(
                f"draws {name!r} as {found}", where=strategy, remedy=f"a tensor ({steps}, ...) on the CPU is needed"
            )
    masks = own.get("cells")
    if masks is None:
        return
    shape = (steps, cells, EDGES, operations)
    if masks.shape != shape or masks.dtype != torch.bool:
        found = f"{tuple(masks.shape)} of {masks.dtype}"
        raise DropnasError(f"draws masks {found}", where=strategy, remedy=f"bool {shape} is needed")
    if not masks.any(dim=-1).all():
        step, cell, edge = (~masks.any(dim=-1)).nonzero()[0].tolist()
        raise DropnasError(
            f"drops every operation of edge {edge} of cell {cell} in step {step}",
            where=strategy,
            remedy="keep at least one operation on each edge",
        )
