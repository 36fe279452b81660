"""Convolutions of a state's edges on a GPU, by kernels that make few passes over the maps (`kernels`).

Design choices: two steps with derivatives of their own. `convolved` is ReLU, depthwise and pointwise convolution of G
equal operations; it leaves its answer before the batch norm, with the statistics, and takes such maps as well as
states. `mixed` normalises the answers of up to four kinds of operations, weights them and adds them up for each edge.
So a batch norm is nowhere a pass of its own, and what is kept for going backward is a state, and each answer once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from dropnas.search.triton import kernels as on_tiles

BYTES = 8192  # of a tile of maps: so many that a program keeps its numbers in registers
LEAST = 16  # rows and columns of a matrix product of Triton's
PARTS = 64  # programs that share the tiles of an operation, each with sums in its weights; the same for any G
TILES = 64  # of which statistics are read at once
WARPS = 8  # of a program: with fewer the registers of a tile keep others off the processor
KINDS = 4  # kinds of operations that are mixed at once


class Shape(NamedTuple):
    """What G equal operations on maps of K supernets do.

    Attributes:
        seeds: K; operation g is of supernet g % K.
        size: side of the depthwise kernels.
        dilation, stride: of the depthwise convolution.
        epsilon: of the batch norm that follows.
    """

    seeds: int
    size: int
    dilation: int
    stride: int
    epsilon: float


class Answer(NamedTuple):
    """Maps (G, B, H, W, C) of G operations before their batch norm, and its statistics (G, C).

    The derivative in the maps is taken through the statistics, too, by whatever normalises them.
    """

    maps: Tensor
    mean: Tensor
    inverse: Tensor
    unbiased: Tensor


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        mean: Tensor | None,
        inverse: Tensor | None,
        depthwise: Tensor,
        pointwise: Tensor,
        shape: Shape,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        plan = _Plan(maps, pointwise, shape, mean is not None)
        answer = maps.new_empty(plan.groups, plan.images, plan.rows, plan.columns, plan.channels)
        of_tiles = plan.wide(2, plan.groups, plan.tiles(plan.pixels), plan.channels)
        statistics = plan.wide(3, plan.groups, plan.channels)
        on_tiles.convolve[plan.groups, plan.tiles(plan.pixels)](
            maps, mean, inverse, depthwise, pointwise, answer, *of_tiles, plan.pixels, plan.sources,
            **plan.convolution, PRECISION=plan.precision,
        )  # fmt: skip
        on_tiles.combine[plan.groups,](
            *of_tiles, *statistics, plan.pixels, plan.tiles(plan.pixels), shape.epsilon,
            C=plan.channels, BLOCK=plan.block, TYPE=plan.type, TILES=TILES, WIDE=plan.room, num_warps=WARPS,
        )  # fmt: skip
        ctx.save_for_backward(maps, mean, inverse, depthwise, pointwise)
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*statistics)
        return answer, *statistics

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, upstream: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        maps, mean, inverse, depthwise, pointwise = ctx.saved_tensors
        plan: _Plan = ctx.plan
        upstream = upstream.contiguous()
        between, block = torch.empty_like(upstream), max(LEAST, plan.block // 2)  # it has more to keep in registers
        tiles = -(-plan.pixels // block)
        of_parts = plan.wide(min(tiles, PARTS), pointwise.numel() + depthwise.numel())
        on_tiles.back_to_weights[plan.groups, len(of_parts)](
            maps, mean, inverse, depthwise, pointwise, upstream, between, of_parts,
            plan.pixels, tiles, plan.sources, **plan.convolution | {"BLOCK": block}, PRECISION=plan.precision,
            TAPS=triton.next_power_of_2(plan.shape.size**2),
        )  # fmt: skip
        in_maps, of_weights = _in_maps(plan, maps, mean, inverse, depthwise, between), of_parts.sum(0)
        in_pointwise = of_weights[: pointwise.numel()].view(pointwise.shape)
        in_depthwise = of_weights[pointwise.numel() :].view(depthwise.shape)
        return in_maps, None, None, in_depthwise, in_pointwise, None


def _in_maps(
    plan: "_Plan", maps: Tensor, mean: Tensor | None, inverse: Tensor | None, depthwise: Tensor, between: Tensor
) -> Tensor:
    """The derivative in the maps from that in the depthwise answers, through ReLU and, if there was one, batch norm."""
    inputs, found = plan.inputs, torch.empty_like(maps)
    tiles = plan.tiles(inputs)
    sums = plan.wide(2, plan.sources, tiles, plan.channels) if plan.normed else (None, None)
    on_tiles.back_to_maps[plan.sources, tiles](
        maps, mean, inverse, depthwise, between, found, *sums, inputs, plan.sources, plan.groups // plan.sources,
        plan.pixels, **plan.convolution,
    )  # fmt: skip
    if not plan.normed:
        return found
    through = torch.empty_like(maps)
    total, along = sums.sum(2)  # type: ignore[union-attr]
    on_tiles.back_through_norm[plan.sources, tiles](
        maps, mean, inverse, found, total, along, through, inputs,
        C=plan.channels, TYPE=plan.type, BLOCK=plan.block, WIDE=plan.room,
    )  # fmt: skip
    return through


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, inverses: Tensor, weights: Tensor, seeds: int, *maps: Tensor
    ) -> tuple[Tensor, ...]:
        plan = _Mix(maps, seeds)
        mixed = [maps[0].new_empty(*maps[0].shape[1:-1], seeds * maps[0].shape[-1]) for _ in range(plan.edges)]
        for edge, out in enumerate(mixed):
            on_tiles.mix[plan.grid](
                *plan.four(maps), means, inverses, weights, out, plan.pixels, edge, plan.groups, **plan.constants
            )
        ctx.save_for_backward(means, inverses, weights, *maps)
        ctx.plan = plan
        return tuple(mixed)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        means, inverses, weights, *maps = ctx.saved_tensors
        plan: _Mix = ctx.plan
        gradients = [gradient.contiguous() for gradient in upstream]
        sums = means.new_empty(plan.grid[1], len(maps) + 1, *means.shape[1:])
        for edge, gradient in enumerate(gradients):
            on_tiles.back_to_mixing[plan.grid](
                *plan.four(maps), means, inverses, gradient, sums, plan.pixels, edge, plan.groups, **plan.constants
            )
        totals, found = sums.sum(0), [torch.empty_like(each) for each in maps]
        for edge, gradient in enumerate(gradients):
            on_tiles.back_to_answers[plan.grid](
                *plan.four(maps), means, inverses, weights, gradient, totals, *plan.four(found),
                plan.pixels, edge, plan.groups, **plan.constants,
            )  # fmt: skip
        return None, None, totals[:-1].sum(-1), None, *found


def convolved(maps: Tensor, before: Answer | None, depthwise: Tensor, pointwise: Tensor, shape: Shape) -> Answer:
    """ReLU, depthwise convolution, pointwise convolution of G operations, and what the next batch norm needs.

    Args:
        maps: a state, (B, H, W, K * C); not used with `before`.
        before: of which the maps are normalised first, G of them.
        depthwise: (G, C, 1, k, k), contiguous.
        pointwise: (G, C, C, 1, 1), contiguous.
    """
    mean, inverse = (None, None) if before is None else (before.mean, before.inverse)
    source = maps.contiguous() if before is None else before.maps
    found: Any = _Convolved.apply(source, mean, inverse, depthwise, pointwise, shape)  # type: ignore[no-untyped-call]
    return Answer(*found)


def mixed(answers: Sequence[Answer], weights: Tensor, seeds: int) -> tuple[Tensor, ...]:
    """For each of E edges the weighted sum of the normalised answers of up to four kinds of operations.

    Args:
        answers: each of E * K operations, edge by edge.
        weights: (kinds, E * K), contiguous.

    Returns:
        E maps (B, H, W, K * C).
    """
    means, inverses = (torch.stack(parts) for parts in list(zip(*answers, strict=True))[1:3])
    maps = [answer.maps for answer in answers]
    found: tuple[Tensor, ...] = _Mixed.apply(means, inverses, weights, seeds, *maps)  # type: ignore[no-untyped-call]
    return found


class _Tiles:
    """How maps are cut into tiles, and in which type is added up."""

    def __init__(self, maps: Tensor, channels: int) -> None:
        doubles = maps.dtype == torch.float64
        self.channels, self.room = channels, max(LEAST, triton.next_power_of_2(channels))
        self.block: int = max(LEAST, BYTES // maps.itemsize // self.room)
        self.type = tl.float64 if doubles else tl.float32
        self._like = maps.new_empty(0, dtype=torch.float64 if doubles else torch.float32)

    def tiles(self, pixels: int) -> int:
        """How many tiles there are of these pixels."""
        return -(-pixels // self.block)

    def wide(self, *shape: int) -> Tensor:
        """Room for sums."""
        return self._like.new_empty(*shape)


class _Plan(_Tiles):
    """What the kernels of a convolution are told."""

    def __init__(self, maps: Tensor, pointwise: Tensor, shape: Shape, normed: bool) -> None:
        super().__init__(maps, pointwise.shape[1])
        self.images, height, width = maps.shape[-4:-1]
        self.shape, self.groups, self.normed = shape, len(pointwise), normed
        self.sources = self.groups if normed else shape.seeds
        self.rows, self.columns = (-(-side // shape.stride) for side in (height, width))
        self.pixels, self.inputs = self.images * self.rows * self.columns, self.images * height * width
        self.precision = "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"
        self.convolution = {
            "C": self.channels,
            "SIZE": shape.size,
            "DILATION": shape.dilation,
            "STRIDE": shape.stride,
            "HEIGHT": height,
            "WIDTH": width,
            "ROWS": self.rows,
            "COLUMNS": self.columns,
            "apart": self.inputs * self.channels if normed else self.channels,
            "step": self.channels if normed else self.channels * shape.seeds,
            "NORMED": normed,
            "TYPE": self.type,
            "BLOCK": self.block,
            "WIDE": self.room,
            "num_warps": WARPS,
        }


class _Mix(_Tiles):
    """What the kernels of a mixture are told."""

    def __init__(self, maps: Sequence[Tensor], seeds: int) -> None:
        super().__init__(maps[0], maps[0].shape[-1])
        self.groups, self.edges = len(maps[0]), len(maps[0]) // seeds
        self.pixels = maps[0].shape[1:-1].numel()
        self.grid = (seeds, self.tiles(self.pixels))
        self.constants = {
            "seeds": seeds,
            "KINDS": len(maps),
            "C": self.channels,
            "TYPE": self.type,
            "BLOCK": self.block,
            "WIDE": self.room,
            "num_warps": WARPS,
        }

    def four(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """As many as the kernels take; those beyond their number are not looked at."""
        return [*maps, *[maps[0]] * (KINDS - len(maps))]
