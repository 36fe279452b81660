"""The edges that leave a state, by the fused kernels, added to the nodes that they lead to.

Design choices: the kernels are imported only here and only when they are used, since Triton is at home on GPUs alone.
They know the convolutions, poolings and the identity of the paper's spaces; what else there is, the caller computes.
"""

import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dropnas.errors import DropnasError
from dropnas.search.engine.edges import Edge, State, Sum, steps
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.space.operations import DilConv, Identity, PoolNorm, SepConv

if TYPE_CHECKING:
    from dropnas.search.triton.fused import Leaving

REMEDY = "set search.kernels: torch"
Alike = Sequence[Edge]  # one operation on each edge


def check_kernels() -> None:
    """Find out before the first step whether kernels can be built: Triton compiles their launchers on this machine.

    Raises:
        DropnasError: Triton, a C compiler or Python's header is missing.
    """
    try:
        import triton  # noqa: F401
    except ImportError as error:
        what = "Triton is not installed, which these kernels need"
        raise DropnasError(what, where=str(error), remedy=f"install triton, or {REMEDY}") from error
    given = os.environ.get("CC")  # if set, Triton looks for no other
    if not any(shutil.which(name) for name in (["gcc", "clang"] if given is None else [given])):
        what = "no C compiler, which Triton needs (CC, gcc or clang)"
        raise DropnasError(what, where=given or "PATH", remedy=f"install one, or {REMEDY}")
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # as Triton does, for Debian
    header = Path(sysconfig.get_path("include", scheme)) / "Python.h"
    if not header.is_file():
        what = "no such file, which Triton needs"
        raise DropnasError(what, where=header, remedy=f"install Python's development files, or {REMEDY}")


def add_edges(
    state: State, operations: Sequence[Alike], weights: MixingWeights, sums: Sequence[Sum], tally: RunningStatistics
) -> list[Alike]:
    """Add what the kernels know to the nodes; gives the other operations, of which nothing was added.

    Args:
        operations: those of each name on the edges that leave the state.
    """
    once, twice = _single(operations, DilConv), _single(operations, SepConv)
    if not once and not twice:
        return list(operations)
    from dropnas.search.triton.fused import mixed

    shared = [_pools(operations, nn.MaxPool2d), _pools(operations, nn.AvgPool2d), _single(operations, Identity)]
    first, second = [steps(alike) for alike in twice + once], [steps(alike)[4:] for alike in twice]
    edges = (once + twice)[0]
    found = mixed(
        state.maps,
        [_joined(first, state.maps), _joined(second, state.maps)],
        _weights(weights, [*([alike] for alike in once + twice), *filter(None, shared)]),
        [maps for maps in (sums[edge.node].maps for edge in edges) if maps is not None],
        _leaving(state, once + twice, [bool(alike) for alike in shared]),
    )
    for edge, maps in zip(edges, found.maps, strict=True):
        sums[edge.node].maps = maps
    _note(tally, first + second, shared[:2], found.mean, found.variance)
    return [alike for alike in operations if not alike[0].is_a(DilConv, SepConv, PoolNorm, Identity)]


def _single(operations: Sequence[Alike], kind: type[nn.Module]) -> list[Alike]:
    """The operations of a kind, one on each edge in each part; a space may have one several times."""
    found = list[Alike]()
    for alike in operations:
        if alike[0].is_a(kind):
            times = len(alike) // len({edge.node for edge in alike})
            found += [alike[first::times] for first in range(times)]
    return found


def _pools(operations: Sequence[Alike], kind: type[nn.Module]) -> list[Alike]:
    pools = _single(operations, PoolNorm)
    return [alike for alike in pools if isinstance(next(alike[0].modules[0].children()), kind)]


def _leaving(state: State, convolutions: Sequence[Alike], shared: Sequence[bool]) -> "Leaving":
    from dropnas.search.triton.fused import Kind, Leaving

    layers: list[list[Any]] = [list(alike[0].modules[0].children()) for alike in convolutions]
    kinds = tuple(Kind(first.kernel_size[0], first.dilation[0], len(rest) > 4) for _, first, *rest in layers)
    most, average, skip = shared
    edges = len(convolutions[0])
    return Leaving(state.seeds, edges, state.stride, kinds, (most, average), skip, layers[0][3].eps)


def _joined(stages: Sequence[Sequence[Sequence[Any]]], like: Tensor) -> Tensor:
    """The weights of equal convolutions, depthwise ones before pointwise ones, kind by kind; copied in one go."""
    weights = [layer.weight.flatten() for _, depthwise, pointwise, *_ in stages for layer in (*depthwise, *pointwise)]
    return torch.cat(weights) if weights else like.new_empty(0)


def _weights(weights: MixingWeights, terms: Sequence[Sequence[Alike]]) -> Tensor:
    """Of each term on each edge: (terms, E * K); that of equal operations is the sum of theirs."""
    chosen = weights.at([edge.slot for term in terms for alike in term for edge in alike])
    chosen = chosen.t().contiguous().view(sum(map(len, terms)), -1)
    if len(chosen) == len(terms):
        return chosen
    parts: Sequence[Tensor] = chosen.split([len(term) for term in terms])  # type: ignore[no-untyped-call]
    return torch.stack([part.sum(0) for part in parts])


def _note(
    tally: RunningStatistics, stages: Sequence[Sequence[Sequence[Any]]], pools: Sequence[Sequence[Alike]], *seen: Tensor
) -> None:
    """Remember what the norms saw: one after another those of convolutions, then those of each pool, alike on edges."""
    norms = [norm for layers in stages for norm in layers[3]]
    tally.note(norms, *(values[: len(norms)].flatten() for values in seen))
    begin = len(norms)
    for equal in filter(None, pools):
        for edge in (edge for alike in equal for edge in alike):
            of_edge: list[Any] = [list(pool.children())[1] for pool in edge.modules]
            tally.note(of_edge, *(values[begin : begin + len(of_edge)].flatten() for values in seen))
        begin += len(equal[0][0].modules)
