"""The building blocks of operations, computed for several operations of the same kind at once.

Design choices: feature maps are contiguous and have the shape (B, H, W, E * K * C). Their channels hold the maps of E
operations side by side and, for each operation, those of K supernets. The modules, their weights and their running
statistics belong to the plain supernets; only the computation differs. Each mixing weight is applied as the scale of
the batch norm at the end of its operation. Weighting therefore needs no extra pass over the maps, and the gradient of
the weight is computed with that of the norm. Batch norm is torch's own on every device. It writes the batch statistics
to new tensors instead of the running statistics, whose update is decided later (`running_statistics`). If maps are
bfloat16, statistics and scales are in single precision.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.engine.depthwise import depthwise
from dropnas.search.engine.pointwise import pointwise
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.space.operations import FactorizedReduce


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate the weights or statistics of E operations."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def depthwise_of(maps: Tensor, layers: Sequence[nn.Conv2d], dilation: int) -> Tensor:
    """Depthwise convolutions of E operations, with stride 1 and the given dilation instead of the layers' settings."""
    return depthwise(maps, side_by_side([layer.weight for layer in layers]).to(maps.dtype), dilation)


def pointwise_of(maps: Tensor, layers: Sequence[nn.Conv2d]) -> Tensor:
    """1x1 convolutions of E operations; each works on its own part of the channels."""
    return pointwise(maps, torch.stack([layer.weight.flatten(1) for layer in layers]).to(maps.dtype))


def wide(values: Tensor) -> Tensor:
    """Convert bfloat16 to single precision, which is used for sums; other types are returned unchanged."""
    return values.float() if values.dtype == torch.bfloat16 else values


class Normed(NamedTuple):
    """Normalised maps (B, H, W, C) with the mean and the unbiased variance of each channel (C,)."""

    maps: Tensor
    mean: Tensor
    variance: Tensor


def batch_norm(
    maps: Tensor, scale: Tensor | None, epsilon: float, rectify: bool = False, shift: Tensor | None = None
) -> Normed:
    """Normalise each channel of contiguous maps (B, H, W, C) over batch and pixels.

    The scale and the shift, both (C,), are applied if given, then ReLU if `rectify` is set.
    """
    mean, variance = wide(maps.new_empty(0)).new_zeros(2, maps.shape[-1]).unbind()
    images, momentum = maps.permute(0, 3, 1, 2), 1.0  # a view (B, C, H, W); momentum 1 stores this batch's statistics
    scale = None if scale is None else scale.contiguous()  # torch's backward pass assumes a contiguous scale
    normal = torch.batch_norm(images, scale, shift, mean, variance, True, momentum, epsilon, False)
    if rectify:
        normal.relu_()  # before the permutation: autograd would copy a view that is changed in place
    return Normed(normal.permute(0, 2, 3, 1), mean, variance)


def normed(
    maps: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    statistics: RunningStatistics,
    scales: Sequence[Tensor] | None = None,
    rectify: bool = False,
) -> Tensor:
    """Apply the batch norms of E operations, which have no affine parameters.

    The scales are applied if given, then ReLU if `rectify` is set.
    """
    scale = None if scales is None else side_by_side(scales)
    normal = batch_norm(maps, scale, norms[0].eps, rectify)
    statistics.note(norms, normal.mean, normal.variance)
    return normal.maps


def shared_norm(maps: Tensor, norms: Sequence[Sequence[nn.BatchNorm2d]], statistics: RunningStatistics) -> Tensor:
    """Normalise maps once for E operations with identical norms (E, K), and record the statistics for all norms."""
    normal = batch_norm(maps, None, norms[0][0].eps)
    for each in norms:
        statistics.note(each, normal.mean, normal.variance)
    return normal.maps


def reduced(
    rectified: Tensor,
    layers: Sequence[Sequence[FactorizedReduce]],
    statistics: RunningStatistics,
    scales: Sequence[Tensor] | None = None,
) -> Tensor:
    """Apply E FactorizedReduce operations in K supernets to the same maps, to which ReLU has been applied.

    `layers` contains K modules for each of the E operations. The result has the shape
    (B, ceil(H / 2), ceil(W / 2), E * K * C).
    """
    height, width = rectified.shape[1:3]
    straight = rectified[:, ::2, ::2]
    shifted = functional.pad(rectified, (0, 0, 0, width % 2, 0, height % 2))[:, 1::2, 1::2]
    halves = [_half(straight, [[each.straight for each in alike] for alike in layers])]
    halves.append(_half(shifted, [[each.shifted for each in alike] for alike in layers]))
    joined = torch.cat(halves, dim=-1).flatten(-3)
    return normed(joined, [layer.norm for alike in layers for layer in alike], statistics, scales)


def _half(maps: Tensor, layers: Sequence[Sequence[nn.Conv2d]]) -> Tensor:
    """Apply one of the two 1x1 convolutions of each operation, given as layers (E, K). Returns (B, H, W, E, K, C')."""
    of_seeds = zip(*layers, strict=True)
    matrices = torch.stack([side_by_side([layer.weight for layer in alike]).flatten(1) for alike in of_seeds])
    mixed = pointwise(maps.contiguous(), matrices.to(maps.dtype))
    return mixed.view(*mixed.shape[:-1], len(layers[0]), len(layers), -1).transpose(-2, -3)


def pooled(maps: Tensor, pool: nn.Module) -> Tensor:
    """Apply a pooling module to maps (B, H, W, C)."""
    images: Tensor = pool(maps.permute(0, 3, 1, 2))
    return images.permute(0, 2, 3, 1)
