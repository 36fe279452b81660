"""The convolutions on the edges that leave a state, by the fused kernels, added to the nodes that they lead to.

Design choices: equal operations of all edges and seeds are one launch of each kernel, and up to four kinds of them are
mixed at once. The kernels are imported only here and only when they are used, since Triton is at home on GPUs alone.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.engine.edges import Edge, State, Sum, steps
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.running_statistics import RunningStatistics

if TYPE_CHECKING:
    from dropnas.search.triton.fused import Answer

AT_ONCE = 4  # kinds of operations that are mixed in one pass


def check_kernels() -> None:
    """Find out before the first step whether there are kernels.

    Raises:
        DropnasError: Triton is not installed.
    """
    try:
        import triton  # noqa: F401
    except ImportError as error:
        remedy = "install triton, or set search.kernels: torch"
        raise DropnasError("fused kernels need Triton", where=str(error), remedy=remedy) from error


def add_convolutions(
    state: State, kinds: Sequence[Sequence[Edge]], weights: MixingWeights, sums: Sequence[Sum], tally: RunningStatistics
) -> None:
    """Add the convolutions of each kind, all on the same edges, to the nodes."""
    from dropnas.search.triton.fused import mixed

    for some in _at_once(kinds):
        stages = [_stages(alike) for alike in some]
        joined = _joined([layers for of_kind in stages for stage in of_kind for layers in (stage[0], stage[1])])
        answers = [_answer(state, of_kind, joined, tally) for of_kind in stages]
        chosen = weights.at([edge.slot for alike in some for edge in alike])  # (K, kinds * edges)
        maps = mixed(answers, chosen.t().reshape(len(some), -1).contiguous(), state.seeds)
        for edge, of_edge in zip(some[0], maps, strict=True):
            sums[edge.node].add(of_edge)


def _at_once(kinds: Sequence[Sequence[Edge]]) -> Iterator[list[Sequence[Edge]]]:
    """Kinds that may be mixed together: few, and equally many of them on an edge (a space may have one twice)."""
    for count in sorted({len(alike) for alike in kinds}):
        equal = [alike for alike in kinds if len(alike) == count]
        for first in range(0, len(equal), AT_ONCE):
            yield equal[first : first + AT_ONCE]


def _stages(alike: Sequence[Edge]) -> list[tuple[list[Any], ...]]:
    """Depthwise and pointwise convolutions and batch norms of equal operations; SepConv has each twice, after ReLUs."""
    layers = steps(alike)
    return list(zip(*(layers[place::4] for place in (1, 2, 3)), strict=True))


def _answer(
    state: State, stages: Sequence[tuple[list[Any], ...]], joined: Iterator[Tensor], tally: RunningStatistics
) -> "Answer":
    """What equal operations give before their last batch norm, with their weights taken from `joined`."""
    from dropnas.search.triton.fused import Answer, Shape, convolved

    answer: Answer | None = None
    for depthwise, _, norms in stages:
        (size, _), (dilation, _), (stride, _) = (
            getattr(depthwise[0], name) for name in ("kernel_size", "dilation", "stride")
        )
        shape = Shape(state.seeds, size, dilation, stride, norms[0].eps)
        answer = convolved(state.maps, answer, next(joined), next(joined), shape)
        tally.note(norms, answer.mean.flatten(), answer.unbiased.flatten())
    assert answer is not None
    return answer


def _joined(groups: Sequence[Sequence[Any]]) -> Iterator[Tensor]:
    """The weights of groups of equal convolutions, each (G, ...); they are copied together, in one go."""
    together = torch.cat([layer.weight.flatten() for layers in groups for layer in layers])
    sizes = [len(layers) * layers[0].weight.numel() for layers in groups]
    parts: Sequence[Tensor] = together.split(sizes)  # type: ignore[no-untyped-call]
    for layers, part in zip(groups, parts, strict=True):
        yield part.view(len(layers), *layers[0].weight.shape)
