"""All that the edges from a state add to the nodes, on a GPU, by kernels that make few passes over the maps.

Design choices: one function with a derivative of its own for all operations of all these edges: convolutions in one
launch for each of their two stages, both pools, and a mixture that normalises, weights and adds them up, with what the
nodes have already. So a batch norm is nowhere a pass of its own, and what is kept for going backward is the state and
each answer before its norm.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from dropnas.search.triton import kernels, mixing

TILE = 4096  # values of a tile of maps: so many that a program keeps its numbers in registers
LEAST = 16  # rows and columns of a matrix product of Triton's
TILES = 64  # of which statistics are read at once
WARPS = 4  # of a program
VALUES = 2048  # of a tile that is summed up for weights
SLICE = 64  # channels that a program sums up for; of more there are several programs
PROGRAMS = 256  # that a launch has, if it can; an H100 has 132 processors
EDGES = 4  # that leave a state, at most


class Kind(NamedTuple):
    """Convolutions of one kind, one on each edge; a separable one is applied twice, each time with a batch norm."""

    size: int
    dilation: int
    separable: bool


class Leaving(NamedTuple):
    """What leaves a state of K supernets.

    Attributes:
        kinds: of convolutions, the separable ones last.
        pools: whether there is maximum pooling, and average pooling.
        skip: whether there is the identity.
        epsilon: of all batch norms.
    """

    seeds: int
    edges: int
    stride: int
    kinds: tuple[Kind, ...]
    pools: tuple[bool, bool]
    skip: bool
    epsilon: float


class Read(NamedTuple):
    """What convolutions read; maps that are normalised first have a mean and 1 / deviation, (G, C)."""

    maps: Tensor
    mean: Tensor | None = None
    inverse: Tensor | None = None


class Mixed(NamedTuple):
    """What is added to each edge's node, (B, H, W, K * C), and what the batch norms saw, each (norms, C).

    Norms are those of the first convolutions, separable ones first, of the second ones, and of the pools.
    """

    maps: tuple[Tensor, ...]
    mean: Tensor
    variance: Tensor


def mixed(
    state: Tensor, joined: Sequence[Tensor], weights: Tensor, before: Sequence[Tensor], leaving: Leaving
) -> Mixed:
    """Compute what leaves a state.

    Args:
        state: (B, H, W, K * C).
        joined: the weights of each stage, kind by kind, all depthwise ones before all pointwise ones.
        weights: of each operation on each edge: (kinds, pools and identity; E * K), contiguous.
        before: what the nodes have already, of each edge; empty if nothing.
    """
    found = _Mixed.apply(leaving, state, *joined, weights, *before)  # type: ignore[no-untyped-call]
    return Mixed(found[:-2], *found[-2:])


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, leaving: Leaving, state: Tensor, joined: Tensor, again: Tensor, weights: Tensor, *before: Tensor
    ) -> tuple[Tensor, ...]:
        plan, state = _Plan(state, leaving), state.contiguous()
        answers, statistics, chosen, dense = plan.answer(state, joined, again)
        out = [state.new_empty(plan.shape) for _ in range(leaving.edges)]
        mixing.mix[plan.grid(plan.alike)](
            state if leaving.skip else None, answers[plan.again :], *statistics[:2, plan.again :], weights,
            *_four([maps.contiguous() for maps in before]), *_four(out), *plan.counts,
            **plan.operations, ADDED=bool(before), **plan.constants,
        )  # fmt: skip
        ctx.save_for_backward(state, joined, again, weights, answers, statistics, chosen, *dense)
        ctx.plan, ctx.before = plan, len(before)
        ctx.set_materialize_grads(False)
        mean, _, variance = statistics
        ctx.mark_non_differentiable(mean, variance)
        return *out, mean, variance

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        state, joined, again, weights, answers, statistics, chosen, *dense = ctx.saved_tensors
        plan: _Plan = ctx.plan
        upstream = [gradient.contiguous() for gradient in gradients[:-2]]
        of_answers, of_weights = plan.back_to_answers(state, weights, answers, statistics, upstream)
        read, of_read = plan.read_again(answers, statistics), of_answers[: plan.again]
        of_again = plan.second.back(read, again, dense[1], of_answers[plan.first.groups :], None, of_read)
        straight, in_state = plan.back_to_pooled(of_answers, chosen, weights, upstream), torch.empty_like(state)
        of_joined = plan.first.back(Read(state), joined, dense[0], of_answers, straight, in_state)
        return None, in_state, of_joined, of_again, of_weights, *(upstream if ctx.before else ())


def _four(tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """As many as kernels take; those beyond their number are not looked at."""
    return [*tensors, *[tensors[0] if tensors else None] * (EDGES - len(tensors))]


class _Plan:
    """What the kernels of a state are given, and their order."""

    def __init__(self, state: Tensor, leaving: Leaving) -> None:
        doubles, seeds = state.dtype == torch.float64, leaving.seeds
        images, height, width, channels = state.shape
        rows, columns = (-(-side // leaving.stride) for side in (height, width))
        self.leaving, self.shape = leaving, (images, rows, columns, channels)
        self.channels, self.alike = channels // seeds, leaving.edges * seeds
        self.inputs, self.outputs = images * height * width, images * rows * columns
        self.like = state.new_empty(0, dtype=torch.float64 if doubles else torch.float32)
        room = max(LEAST, triton.next_power_of_2(self.channels))
        self.block: int = max(LEAST, TILE // (4 if doubles else 1) // room)
        self.constants = {"C": self.channels, "TYPE": tl.float64 if doubles else tl.float32, "WIDE": room}
        self.constants |= {"BLOCK": self.block, "num_warps": WARPS}
        self.sides = {"STRIDE": leaving.stride, "HEIGHT": height, "WIDTH": width, "ROWS": rows, "COLUMNS": columns}
        self.counts = (self.outputs, self.alike, seeds)
        self.pools = dict(zip(("MAXIMUM", "AVERAGE"), leaving.pools, strict=True))
        self.operations = {"CONVOLUTIONS": len(leaving.kinds), "POOLS": sum(leaving.pools), "SKIP": leaving.skip}
        separable = tuple(kind for kind in leaving.kinds if kind.separable)
        once = tuple(kind for kind in leaving.kinds if not kind.separable)
        self.first = _Stage(self, separable + once, second=False)
        self.second = _Stage(self, tuple(kind._replace(dilation=1) for kind in separable), second=True)
        self.again = self.second.groups  # first answers, which are convolved again

    def grid(self, groups: int, pixels: int = 0, block: int = 0) -> tuple[int, int]:
        """Programs for the tiles of groups of maps, answers if not said otherwise."""
        return groups, -(-(pixels or self.outputs) // (block or self.block))

    def wide(self, *shape: int) -> Tensor:
        """Room for sums."""
        return self.like.new_empty(shape)

    def read_again(self, answers: Tensor, statistics: Tensor) -> Read:
        """What the second convolutions read."""
        return Read(answers[: self.again], *statistics[:2, : self.again])

    def answer(self, state: Tensor, *joined: Tensor) -> tuple[Tensor, Tensor, Tensor | None, list[Tensor]]:
        """Answers before their batch norms, their statistics, which pixels were the maxima, and the dense matrices."""
        begin, seeds = self.first.groups, self.leaving.seeds
        end = begin + self.again
        answers = state.new_empty(end + sum(self.leaving.pools) * seeds, *self.shape[:3], self.channels)
        tiles = self.wide(2, *self.grid(len(answers)), self.channels)
        statistics = self.wide(3, len(answers), self.channels)
        dense = [self.first.run(Read(state), joined[0], answers[:begin], tiles[:, :begin])]
        self._combine(tiles[:, :begin], statistics[:, :begin])
        again = self.read_again(answers, statistics)
        dense.append(self.second.run(again, joined[1], answers[begin:end], tiles[:, begin:end]))
        chosen = None
        if any(self.leaving.pools):
            chosen = torch.empty_like(answers[end : end + seeds], dtype=torch.uint8) if self.leaving.pools[0] else None
            mixing.pool[self.grid(seeds)](
                state, answers[end:], chosen, *tiles[:, end:], self.outputs, seeds,
                **self.pools, **self.sides, **self.constants,
            )  # fmt: skip
        self._combine(tiles[:, begin:], statistics[:, begin:])
        return answers, statistics, chosen, dense

    def _combine(self, tiles: Tensor, statistics: Tensor) -> None:
        if len(tiles[0]):
            kernels.combine[len(tiles[0]),](
                *tiles, *statistics, self.outputs, tiles.shape[2], self.leaving.epsilon, TILES=TILES, **self.constants
            )

    def back_to_answers(
        self, state: Tensor, weights: Tensor, answers: Tensor, statistics: Tensor, upstream: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The derivatives in all answers but those that are convolved again, and in the weights."""
        leaving, end = self.leaving, self.first.groups + self.again
        of_answers, gradients = torch.empty_like(answers), _four(upstream)
        grid, parts = self.grid(self.alike), (slice(self.again, end), slice(end, None))
        sums = self.wide(grid[1], len(weights) + 1, self.alike, self.channels)
        mixing.back_to_weights[grid](
            state if leaving.skip else None, answers[self.again :], *statistics[:2, self.again :], *gradients, sums,
            *self.counts, **self.operations, **self.constants,
        )  # fmt: skip
        totals = sums.sum(0)
        for kernel, part, groups in zip(
            (mixing.back_to_answers, mixing.back_to_pools), parts, (self.alike, leaving.seeds), strict=True
        ):
            if len(answers[part]):
                kernel[self.grid(groups)](
                    answers[part], *statistics[:2, part], weights, *gradients, totals, of_answers[part],
                    *self.counts, **self.operations, **self.constants,
                )  # fmt: skip
        return of_answers, totals[:-1].sum(-1)

    def back_to_pooled(
        self, of_answers: Tensor, chosen: Tensor | None, weights: Tensor, upstream: Sequence[Tensor]
    ) -> Tensor | None:
        """The derivative in the state other than by convolutions, if there is any."""
        leaving = self.leaving
        if not (leaving.skip or any(leaving.pools)):
            return None
        images, _, _, channels = self.shape
        found = of_answers.new_empty(images, self.sides["HEIGHT"], self.sides["WIDTH"], channels)
        mixing.back_to_pooled[self.grid(leaving.seeds, self.inputs)](
            of_answers[self.first.groups + self.again :], chosen, weights[-1], *_four(upstream), found, self.inputs,
            *self.counts, **self.pools, SKIP=leaving.skip, **self.sides, **self.constants,
        )  # fmt: skip
        return found


class _Stage:
    """The first or the second convolutions of a plan; second ones read the first ones' normalised answers."""

    def __init__(self, plan: _Plan, kinds: tuple[Kind, ...], second: bool) -> None:
        room, channels, seeds = plan.constants["WIDE"], plan.channels, plan.leaving.seeds
        self.plan, self.second, self.groups = plan, second, len(kinds) * plan.alike
        self.sources = self.groups if second else seeds
        self.inputs = plan.outputs if second else plan.inputs
        sides = dict(plan.sides)
        if second:
            sides |= {"STRIDE": 1, "HEIGHT": sides["ROWS"], "WIDTH": sides["COLUMNS"]}
        self.strides = (self.inputs * channels, channels) if second else (channels, channels * seeds)
        precision = "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"
        self.constants = {**sides, **plan.constants, "NORMED": second, "PRECISION": precision}
        self.at_once = max(1, min(4, 128 // room))  # taps
        self.parts = max(4, 256 // room)  # of the tiles; the same for any number of groups
        self.layers, self.chunks, self.matrices = _layers(kinds, plan.alike, channels, self.at_once, plan.like.device)
        largest = max((kind.size for kind in kinds), default=1)
        taps = triton.next_power_of_2(largest**2)
        self.weights = {"C": channels, "WIDE": room, "TAPS": taps, "PART": max(1, 2 * TILE // room // taps)}
        self.weights["num_warps"] = WARPS

    def run(self, read: Read, joined: Tensor, answers: Tensor, tiles: Tensor) -> Tensor:
        """Convolve; gives the dense matrices."""
        dense = read.maps.new_empty(self.matrices, self.plan.channels, self.plan.channels)
        if self.groups:
            kernels.make_dense[self._slices](joined, self.layers, dense, **self.weights)
            kernels.convolve[self.plan.grid(self.groups)](
                *read, dense, self.layers, answers, *tiles, self.plan.outputs, self.sources, *self.strides,
                **self.constants,
            )  # fmt: skip
        return dense

    @property
    def _slices(self) -> tuple[int, int]:
        return self.groups, -(-self.plan.channels // self.weights["PART"])

    def back(
        self, read: Read, joined: Tensor, dense: Tensor, upstream: Tensor, straight: Tensor | None, of_maps: Tensor
    ) -> Tensor:
        """Write the derivative in the maps, `straight` added, to of_maps; gives that in the weights."""
        of_joined = torch.empty_like(joined)
        if self.groups:
            self._back_to_joined(read, joined, upstream[: self.groups], of_joined)
            self._back_to_maps(read, dense, upstream[: self.groups], straight, of_maps)
        return of_joined

    def _back_to_joined(self, read: Read, joined: Tensor, upstream: Tensor, of_joined: Tensor) -> None:
        plan, room = self.plan, self.weights["WIDE"]
        part, block = min(room, SLICE), max(LEAST, VALUES // room)
        tiles = plan.grid(1, self.inputs, block)[1]
        of_dense = plan.wide(min(self.parts, tiles), self.matrices, plan.channels, plan.channels)
        kernels.back_to_dense[len(self.chunks), len(of_dense), room // part](
            *read, upstream, self.layers, self.chunks, of_dense, self.inputs, plan.outputs, tiles, self.sources,
            self.matrices, *self.strides, SLICE=part, TAPS=self.at_once, **self.constants | {"BLOCK": block},
        )  # fmt: skip
        kernels.back_to_joined[self._slices](
            joined, self.layers, of_dense, of_joined, len(of_dense), self.matrices, **self.weights
        )

    def _back_to_maps(
        self, read: Read, dense: Tensor, upstream: Tensor, straight: Tensor | None, of_maps: Tensor
    ) -> None:
        plan, block = self.plan, self.plan.block
        while block > 2 * LEAST and self.sources * self.inputs < PROGRAMS * block:
            block //= 2
        grid = plan.grid(self.sources, self.inputs, block)
        sums = plan.wide(2, *grid, plan.channels) if self.second else (None, None)
        kernels.back_to_maps[grid](
            *read, dense, self.layers, upstream, straight, of_maps, *sums,
            self.inputs, plan.outputs, self.sources, self.groups // self.sources, *self.strides,
            ADDED=straight is not None, **self.constants | {"BLOCK": block},
        )  # fmt: skip
        if self.second:
            total, along = sums.sum(2)  # type: ignore[union-attr]
            kernels.back_through_norm[plan.grid(self.sources, self.inputs)](
                *read, of_maps, total, along, self.inputs, **plan.constants
            )


@cache
def _layers(
    kinds: tuple[Kind, ...], alike: int, channels: int, at_once: int, device: torch.device
) -> tuple[Tensor, Tensor, int]:
    """The tables `layers` and `chunks` of the kernels, copied to a device before a step is captured; the matrices."""
    layers, chunks, matrices, begin = list[tuple[int, ...]](), list[tuple[int, int]](), 0, 0
    for size, dilation, _ in kinds:
        pointwise = begin + alike * channels * size**2
        for group in range(alike):
            chunks.extend((len(layers), tap) for tap in range(0, size**2, at_once))
            taps = begin + group * channels * size**2
            layers.append((size, dilation, matrices, taps, pointwise + group * channels**2))
            matrices += size**2
        begin = pointwise + alike * channels**2
    as_table = [torch.tensor(rows, dtype=torch.int32, device=device) for rows in (layers, chunks)]
    return as_table[0], as_table[1], matrices
