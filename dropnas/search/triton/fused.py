"""Computes, in fused GPU kernels, everything that the edges from a state add to the nodes.

Design choices: one autograd function computes all convolutions on these edges, with few passes over the maps. It has
two stages, because a separable convolution is applied twice. In each stage, one kernel computes all convolutions. After
both stages, another kernel normalises, weights and adds the outputs, and adds the weighted maps that all edges share
(poolings and the identity). Batch norms need no pass of their own. The only maps saved for the backward pass are the
state, each output before its batch norm, and the shared maps.
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

TILE = 4096  # values in a tile of maps: few enough to stay in a program's registers
LEAST = 16  # minimum number of rows and of columns in a matrix product in Triton
TILES = 64  # number of tiles whose statistics are loaded at a time
WARPS = 4  # for each program
TILE_VALUES = 2048  # values in a tile of maps when the gradients of weights are summed
SLICE = 64  # maximum number of channels per program in these sums; more channels are split among programs
PROGRAMS = 256  # a launch with fewer programs gets smaller tiles; an H100 has 132 multiprocessors


class ConvolutionKind(NamedTuple):
    """Convolutions of one kind, one on each edge. A separable one is applied twice, each time with a batch norm."""

    size: int
    dilation: int
    separable: bool


class LeavingConvolutions(NamedTuple):
    """The convolutions on the edges that leave a state, in K supernets.

    Attributes:
        kinds: kinds of convolutions, the separable ones last.
        epsilon: the epsilon of all batch norms.
    """

    seeds: int
    edges: int
    stride: int
    kinds: tuple[ConvolutionKind, ...]
    epsilon: float


class Read(NamedTuple):
    """The maps that a kernel reads.

    If the kernel must normalise them first, they have a mean and 1 / standard deviation, each (G, C).
    """

    maps: Tensor
    mean: Tensor | None = None
    inverse: Tensor | None = None


class Mixed(NamedTuple):
    """The map that each edge adds to its node, (E, B, H, W, K * C), and the statistics of each batch norm, (norms, C).

    The batch norms of the first stage precede those of the second. In the first stage, separable convolutions precede
    the other convolutions.
    """

    maps: Tensor
    mean: Tensor
    variance: Tensor


def mixed(
    state: Tensor, joined: Sequence[Tensor], shared: Tensor, weights: Tensor, leaving: LeavingConvolutions
) -> Mixed:
    """Compute what each edge from a state adds to its node.

    Args:
        state: (B, H, W, K * C).
        joined: for each stage, the weights of its convolutions, kind by kind; depthwise weights precede pointwise ones.
        shared: maps that every edge adds: (S, B, H', W', K * C).
        weights: mixing weights of each convolution and shared map on each edge: (kinds + S, E * K).
        leaving: describes the convolutions.
    """
    return Mixed(*_MixedOperations.apply(leaving, state, *joined, shared, weights))  # type: ignore[no-untyped-call]


class _MixedOperations(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        leaving: LeavingConvolutions,
        state: Tensor,
        joined: Tensor,
        again: Tensor,
        shared: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, ...]:
        plan, state, weights = _Plan(state, leaving, len(shared)), state.contiguous(), weights.contiguous()
        answers, statistics, dense = plan.answer(state, joined, again)
        out = state.new_empty(leaving.edges, *plan.shape)
        mixing.mix[plan.grid(plan.alike)](
            *plan.read_last(answers, statistics), shared, weights, out, *plan.counts, **plan.mixing
        )
        ctx.save_for_backward(state, joined, again, shared, weights, answers, statistics, *dense)
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        mean, _, variance = statistics
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        state, joined, again, shared, weights, answers, statistics, *dense = ctx.saved_tensors
        plan: _Plan = ctx.plan
        last, upstream = plan.read_last(answers, statistics), gradient.contiguous()
        of_answers, of_shared = torch.empty_like(answers), torch.empty_like(shared)
        of_weights = plan.back_to_mixed(last, shared, weights, upstream, of_answers[plan.again :], of_shared)
        read, of_read = plan.read_again(answers, statistics), of_answers[: plan.again]
        of_again = plan.second.back(read, again, dense[1], of_answers[plan.first.groups :], of_read)
        in_state = torch.empty_like(state)
        of_joined = plan.first.back(Read(state), joined, dense[0], of_answers, in_state)
        return None, in_state, of_joined, of_again, of_shared, of_weights


class _Plan:
    """The arguments of the kernels for a state, and the order of the launches."""

    def __init__(self, state: Tensor, leaving: LeavingConvolutions, shared: int) -> None:
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
        self.mixing = self.constants | {"KINDS": len(leaving.kinds), "SHARED": shared}
        separable = tuple(kind for kind in leaving.kinds if kind.separable)
        once = tuple(kind for kind in leaving.kinds if not kind.separable)
        self.first = _Stage(self, separable + once, second=False)
        self.second = _Stage(self, tuple(kind._replace(dilation=1) for kind in separable), second=True)
        self.again = self.second.groups  # number of first-stage outputs that are convolved again

    def grid(self, groups: int, pixels: int = 0, block: int = 0) -> tuple[int, int]:
        """The launch grid: one program for each group and tile of its maps; by default, the maps are the outputs."""
        return groups, -(-(pixels or self.outputs) // (block or self.block))

    def wide(self, *shape: int) -> Tensor:
        """Create an uninitialised tensor, in the dtype of the sums."""
        return self.like.new_empty(shape)

    def read_again(self, answers: Tensor, statistics: Tensor) -> Read:
        """The input of the second convolutions."""
        return Read(answers[: self.again], *statistics[:2, : self.again])

    def read_last(self, answers: Tensor, statistics: Tensor) -> Read:
        """The input of the mixing kernels: all outputs that are not convolved again."""
        return Read(answers[self.again :], *statistics[:2, self.again :])

    def answer(self, state: Tensor, *joined: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Compute the outputs before their batch norms, the statistics of the outputs, and both stages' matrices."""
        groups = self.first.groups + self.again
        answers = state.new_empty(groups, *self.shape[:3], self.channels)
        statistics, first = self.wide(3, groups, self.channels), slice(self.first.groups)
        dense = self.first.run(Read(state), joined[0], answers[first], statistics[:, first])
        again, second = self.read_again(answers, statistics), slice(self.first.groups, None)
        return answers, statistics, (dense, self.second.run(again, joined[1], answers[second], statistics[:, second]))

    def back_to_mixed(
        self, last: Read, shared: Tensor, weights: Tensor, upstream: Tensor, of_answers: Tensor, of_shared: Tensor
    ) -> Tensor:
        """Write the gradients of the maps that were mixed; return the gradient of the mixing weights."""
        grid, given = self.grid(self.alike), self.mixing
        sums = self.wide(grid[1], len(weights) + 1, self.alike, self.channels)
        mixing.back_to_weights[grid](*last, shared, upstream, sums, *self.counts, **given)
        totals = sums.sum(0)
        mixing.back_to_answers[grid](*last, weights, upstream, totals, of_answers, *self.counts, **given)
        if len(shared):
            mixing.back_to_shared[self.grid(self.leaving.seeds)](weights, upstream, of_shared, *self.counts, **given)
        return totals[:-1].sum(-1)


class _Stage:
    """The first or the second convolutions of a plan; the second ones read the normalised outputs of the first."""

    def __init__(self, plan: _Plan, kinds: tuple[ConvolutionKind, ...], second: bool) -> None:
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
        self.chunk = max(1, min(4, 128 // room))  # taps that one program handles
        self.parts = max(4, 256 // room)  # number of partial sums over tiles, independent of the number of groups
        self.layers, self.chunks, self.matrices = _layers(kinds, plan.alike, channels, self.chunk, plan.like.device)
        largest = max((kind.size for kind in kinds), default=1)
        taps = triton.next_power_of_2(largest**2)
        self.weights = {"C": channels, "WIDE": room, "TAPS": taps, "PART": max(1, 2 * TILE // room // taps)}
        self.weights["num_warps"] = WARPS

    def run(self, read: Read, joined: Tensor, answers: Tensor, statistics: Tensor) -> Tensor:
        """Convolve and compute the statistics of the outputs; return the matrices (see `kernels`)."""
        plan, grid = self.plan, self.plan.grid(self.groups)
        dense = read.maps.new_empty(self.matrices, plan.channels, plan.channels)
        if self.groups:
            tiles = plan.wide(2, *grid, plan.channels)
            kernels.make_dense[self._slices](joined, self.layers, dense, **self.weights)
            kernels.convolve[grid](
                *read, dense, self.layers, answers, *tiles, plan.outputs, self.sources, *self.strides, **self.constants
            )
            kernels.combine[(self.groups,)](
                *tiles, *statistics, plan.outputs, grid[1], plan.leaving.epsilon, TILES=TILES, **plan.constants
            )
        return dense

    @property
    def _slices(self) -> tuple[int, int]:
        return self.groups, -(-self.plan.channels // self.weights["PART"])

    def back(self, read: Read, joined: Tensor, dense: Tensor, upstream: Tensor, of_maps: Tensor) -> Tensor:
        """Write the gradient of the maps to `of_maps`; return the gradient of the convolutions' weights."""
        of_joined = torch.empty_like(joined)
        if self.groups:
            self._back_to_joined(read, joined, upstream[: self.groups], of_joined)
            self._back_to_maps(read, dense, upstream[: self.groups], of_maps)
        return of_joined

    def _back_to_joined(self, read: Read, joined: Tensor, upstream: Tensor, of_joined: Tensor) -> None:
        plan, room = self.plan, self.weights["WIDE"]
        part, block = min(room, SLICE), max(LEAST, TILE_VALUES // room)
        tiles = plan.grid(1, self.inputs, block)[1]
        of_dense = plan.wide(min(self.parts, tiles), self.matrices, plan.channels, plan.channels)
        kernels.back_to_dense[len(self.chunks), len(of_dense), room // part](
            *read, upstream, self.layers, self.chunks, of_dense, self.inputs, plan.outputs, tiles, self.sources,
            self.matrices, *self.strides, SLICE=part, TAPS=self.chunk, **self.constants | {"BLOCK": block},
        )  # fmt: skip
        kernels.back_to_joined[self._slices](
            joined, self.layers, of_dense, of_joined, len(of_dense), self.matrices, **self.weights
        )

    def _back_to_maps(self, read: Read, dense: Tensor, upstream: Tensor, of_maps: Tensor) -> None:
        plan, block = self.plan, self.plan.block
        while block > 2 * LEAST and self.sources * self.inputs < PROGRAMS * block:
            block //= 2
        grid = plan.grid(self.sources, self.inputs, block)
        sums = plan.wide(2, *grid, plan.channels) if self.second else (None, None)
        kernels.back_to_maps[grid](
            *read, dense, self.layers, upstream, of_maps, *sums, self.inputs, plan.outputs, self.sources,
            self.groups // self.sources, *self.strides, **self.constants | {"BLOCK": block},
        )  # fmt: skip
        if self.second:
            total, along = sums.sum(2)  # type: ignore[union-attr]
            kernels.back_through_norm[plan.grid(self.sources, self.inputs)](
                *read, of_maps, total, along, self.inputs, **plan.constants
            )


@cache
def _layers(
    kinds: tuple[ConvolutionKind, ...], alike: int, channels: int, chunk: int, device: torch.device
) -> tuple[Tensor, Tensor, int]:
    """Make the kernels' tables `layers` and `chunks` on a device, before a step is recorded.

    Returns:
        both tables, and the number of matrices.
    """
    layers, chunks, matrices, begin = list[tuple[int, ...]](), list[tuple[int, int]](), 0, 0
    for size, dilation, _ in kinds:
        pointwise = begin + alike * channels * size**2
        for group in range(alike):
            chunks.extend((len(layers), tap) for tap in range(0, size**2, chunk))
            taps = begin + group * channels * size**2
            layers.append((size, dilation, matrices, taps, pointwise + group * channels**2))
            matrices += size**2
        begin = pointwise + alike * channels**2
    as_table = [torch.tensor(rows, dtype=torch.int32, device=device) for rows in (layers, chunks)]
    return as_table[0], as_table[1], matrices
