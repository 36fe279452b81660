"""The way that a step takes on a GPU, on a CPU; torch's kernels for batch norm, which a CPU lacks, by formulas."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from dropnas.search.engine import layout


@contextmanager
def way_of_a_gpu() -> Iterator[None]:
    """The engine computes on a CPU what it computes on a GPU."""
    library = torch.library.Library("aten", "IMPL", "CPU")
    for name, formula in OF_A_GPU.items():
        library.impl(name, formula)
    try:
        with mock.patch.object(layout, "on_cpu", lambda maps: False):
            yield
    finally:
        library._destroy()  # also after a failure, which must stay with its test


def stats(rows: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Mean and 1 / deviation of rows (pixels, C), the statistics that torch's synchronised batch norm exchanges."""
    return rows.mean(0), (rows.var(0, unbiased=False) + epsilon).rsqrt()


def elemt(rows: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, inverse: Tensor, _: float) -> Tensor:
    out = (rows - mean) * inverse
    out = out if scale is None else out * scale
    return out if shift is None else out + shift


def backward_reduce(
    upstream: Tensor, rows: Tensor, mean: Tensor, inverse: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    total, along = upstream.sum(0), (upstream * (rows - mean)).sum(0)
    return total, along, inverse * along, total.clone()


def backward_elemt(
    upstream: Tensor,
    rows: Tensor,
    mean: Tensor,
    inverse: Tensor,
    scale: Tensor | None,
    total: Tensor,
    along: Tensor,
    count: Tensor,
) -> Tensor:
    pixels = count.sum()
    centred = upstream - total / pixels - (rows - mean) * inverse.square() * along / pixels
    return centred * inverse * (1 if scale is None else scale)


OF_A_GPU: dict[str, Callable[..., Any]] = {
    "batch_norm_stats": stats,
    "batch_norm_elemt": elemt,
    "batch_norm_backward_reduce": backward_reduce,
    "batch_norm_backward_elemt": backward_elemt,
}
