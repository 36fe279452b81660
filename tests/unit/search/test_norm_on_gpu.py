"""The batch norm of a GPU, with torch's kernels for it replaced by their formulas, which a CPU can compute."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dropnas.search.fast.norm_on_gpu import NormOnGpu
from dropnas.training.seeding import generator

EPSILON = 1e-5


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


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    """A CPU has none of its own."""
    library = torch.library.Library("aten", "IMPL", "CPU")
    of_torch: dict[str, Callable[..., Any]] = {
        "batch_norm_stats": stats,
        "batch_norm_elemt": elemt,
        "batch_norm_backward_reduce": backward_reduce,
        "batch_norm_backward_elemt": backward_elemt,
    }
    for name, formula in of_torch.items():
        library.impl(name, formula)
    yield
    library._destroy()


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("given", [(), ("scale",), ("scale", "shift")], ids=lambda given: "+".join(given) or "plain")
def test_it_is_batch_norm_with_its_derivatives(given: tuple[str, ...], rectify: bool) -> None:
    random = generator(0, "maps")
    maps = torch.randn((3, 4, 5, 6), generator=random, dtype=torch.float64, requires_grad=True)
    scale, shift = (
        torch.randn(6, generator=random, dtype=torch.float64, requires_grad=True) if name in given else None
        for name in ("scale", "shift")
    )
    upstream = torch.randn((3, 4, 5, 6), generator=random, dtype=torch.float64)
    found: Any = NormOnGpu.apply(maps, scale, shift, EPSILON, rectify)  # type: ignore[no-untyped-call]
    expected = functional.batch_norm(maps.permute(0, 3, 1, 2), None, None, scale, shift, True, 0.1, EPSILON)
    expected = expected.permute(0, 2, 3, 1)
    expected = expected.relu() if rectify else expected
    rows = maps.detach().flatten(0, -2)
    for one, other in zip(found, (expected, rows.mean(0), rows.var(0)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    inputs = [tensor for tensor in (maps, scale, shift) if tensor is not None]
    ours, theirs = (torch.autograd.grad(out, inputs, upstream) for out in (found[0], expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
