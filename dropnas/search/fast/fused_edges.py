"""The convolutions on the edges that leave a state, by the fused kernels, added to the nodes that they lead to.

Design choices: equal operations of all edges and seeds are one launch of each kernel, and up to four kinds of them are
mixed at once. The kernels are imported only here and only when they are used, since Triton is at home on GPUs alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dropnas.search.fast.edges import Edge, State, Sum, steps
from dropnas.search.fast.mixing import Whole
from dropnas.search.fast.tally import Tally

if TYPE_CHECKING:
    from dropnas.search.fast.fused import Answer

AT_ONCE = 4  # kinds of operations that are mixed in one pass


def add_convolutions(
    state: State, kinds: Sequence[Sequence[Edge]], weights: Whole, sums: Sequence[Sum], tally: Tally
) -> None:
    """Add the convolutions of each kind, all on the same edges, to the nodes."""
    from dropnas.search.fast.fused import mixed

    for first in range(0, len(kinds), AT_ONCE):
        some = kinds[first : first + AT_ONCE]
        answers = [_answer(state, alike, tally) for alike in some]
        chosen = weights.at([edge.place for alike in some for edge in alike])  # (K, kinds * edges)
        maps = mixed(answers, chosen.t().reshape(len(some), -1).contiguous(), state.seeds)
        for edge, of_edge in zip(some[0], maps, strict=True):
            sums[edge.node].add(of_edge)


def _answer(state: State, alike: Sequence[Edge], tally: Tally) -> "Answer":
    """What equal operations give before their last batch norm.

    Their layers are ReLU, depthwise and pointwise convolution and batch norm, once or (SepConv) twice.
    """
    from dropnas.search.fast.fused import Answer, Shape, convolved

    answer: Answer | None = None
    layers = steps(alike)
    for _, depthwise, pointwise, norms in zip(*(layers[place::4] for place in range(4)), strict=True):
        (size, _), (dilation, _), (stride, _) = (
            getattr(depthwise[0], name) for name in ("kernel_size", "dilation", "stride")
        )
        shape = Shape(state.seeds, size, dilation, stride, norms[0].eps)
        answer = convolved(state.maps, answer, _joined(depthwise), _joined(pointwise), shape)
        tally.note(norms, answer.mean.unbind(), answer.unbiased.unbind())
    assert answer is not None
    return answer


def _joined(layers: Sequence[Any]) -> Tensor:
    """The weights of G convolutions: (G, ...)."""
    return torch.stack([layer.weight for layer in layers])
