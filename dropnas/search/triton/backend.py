"""The Triton backend of the engine: it checks whether Triton can run here, and computes the edges that leave a state.

Design choices: only this module imports the kernels, and only when they are used, because Triton compiles for GPUs
only.
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
from dropnas.search.engine.cell import Backend
from dropnas.search.engine.edges import Alike, CellState, Shared, Sum, steps
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.space.operations import DilConv, SepConv
from dropnas.training.graphs import Prepare

if TYPE_CHECKING:
    from dropnas.search.triton.fused import LeavingConvolutions

USE_TORCH = "set search.kernels: torch"


def make_backend() -> tuple[Backend, Prepare]:
    """Return two functions: one computes the edges; the other compiles its kernels before the first step.

    Raises:
        DropnasError: Triton cannot compile here.
    """
    check_kernels()
    from dropnas.search.triton.precompile import compile_ahead  # needs Triton

    return add_edges, compile_ahead


def check_kernels() -> None:
    """Check, before the first step, that Triton can build kernels here; it compiles their launchers from C.

    Raises:
        DropnasError: Triton, a C compiler or the header Python.h is missing.
    """
    try:
        import triton  # noqa: F401
    except ImportError as error:
        what = "Triton is not installed, which these kernels need"
        raise DropnasError(what, where=str(error), remedy=f"install triton, or {USE_TORCH}") from error
    given = os.environ.get("CC")  # if it is set, Triton uses only this compiler
    if not any(shutil.which(name) for name in (["gcc", "clang"] if given is None else [given])):
        what = "no C compiler, which Triton needs (CC, gcc or clang)"
        raise DropnasError(what, where=given or "PATH", remedy=f"install one, or {USE_TORCH}")
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # as Triton does on Debian
    header = Path(sysconfig.get_path("include", scheme)) / "Python.h"
    if not header.is_file():
        what = "no such file, which Triton needs"
        raise DropnasError(what, where=header, remedy=f"install Python's development files, or {USE_TORCH}")


def add_edges(
    state: CellState,
    convolutions: Sequence[Alike],
    shared: Shared,
    weights: MixingWeights,
    sums: Sequence[Sum],
    statistics: RunningStatistics,
) -> None:
    """Add the contributions of the edges that leave a state to the sums of the nodes.

    Each edge adds the outputs of its convolutions and the shared maps to the sum of the node where it ends. The shared
    maps are the same on all of these edges.
    """
    from dropnas.search.triton.fused import mixed

    once, twice = _single(convolutions, DilConv), _single(convolutions, SepConv)
    first, second = [steps(alike) for alike in twice + once], [steps(alike)[4:] for alike in twice]
    found = mixed(
        state.maps,
        [_joined(first, state.maps), _joined(second, state.maps)],
        torch.stack(list(shared.maps)) if shared.maps else state.maps.new_empty(0),
        _weights(weights, once + twice, shared),
        _leaving(state, once + twice),
    )
    for edge, maps in zip((once + twice)[0], found.maps.unbind(), strict=True):
        sums[edge.node].add(maps)
    statistics.note(
        [norm for layers in first + second for norm in layers[3]], found.mean.flatten(), found.variance.flatten()
    )


def _single(operations: Sequence[Alike], kind: type[nn.Module]) -> list[Alike]:
    """Find the operations of a class. Each returned list has one operation for each edge.

    If the space contains an operation several times, there is a list for each occurrence.
    """
    found = list[Alike]()
    for alike in operations:
        if alike[0].is_a(kind):
            times = len(alike) // len({edge.node for edge in alike})
            found += [alike[first::times] for first in range(times)]
    return found


def _leaving(state: CellState, convolutions: Sequence[Alike]) -> "LeavingConvolutions":
    from dropnas.search.triton.fused import ConvolutionKind, LeavingConvolutions

    layers: list[list[Any]] = [list(alike[0].modules[0].children()) for alike in convolutions]
    kinds = tuple(ConvolutionKind(first.kernel_size[0], first.dilation[0], len(rest) > 4) for _, first, *rest in layers)
    return LeavingConvolutions(state.seeds, len(convolutions[0]), state.stride, kinds, layers[0][3].eps)


def _weights(weights: MixingWeights, convolutions: Sequence[Alike], shared: Shared) -> Tensor:
    """The mixing weights of the convolutions and of the S shared maps, on E edges of K seeds: (kinds + S, E * K)."""
    chosen = weights.at([edge.slot for alike in convolutions for edge in alike])
    rows = [chosen.view(len(chosen), len(convolutions), -1)]  # (K, operations, E)
    if shared.maps:
        rows.append(shared.weights.transpose(1, 2))
    return torch.cat(rows, dim=1).permute(1, 2, 0).flatten(1)


def _joined(stages: Sequence[Sequence[Sequence[Any]]], like: Tensor) -> Tensor:
    """Concatenate the weights of all convolutions: kind by kind, with depthwise weights before pointwise weights."""
    weights = [layer.weight.flatten() for _, depthwise, pointwise, *_ in stages for layer in (*depthwise, *pointwise)]
    return torch.cat(weights) if weights else like.new_empty(0)
