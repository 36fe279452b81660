"""What operations are made of, for several equal operations that read the same or parallel maps.

Design choices: maps are (B, H, W, E * K * C), contiguous: those of E operations side by side, each of K supernets. The
modules are the plain supernet's own, and so are their weights and running statistics; here they are only computed in
another way. A mixing weight is the scale of the batch norm that ends its operation, so that weighting costs no pass
over the maps, and the derivative in it comes with that of the norm.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.engine.depthwise import depthwise
from dropnas.search.engine.norm import batch_norm
from dropnas.search.engine.pointwise import pointwise
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.space.operations import FactorizedReduce


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Weights or statistics of E operations as those of one."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def depthwise_of(maps: Tensor, layers: Sequence[nn.Conv2d], dilation: int) -> Tensor:
    """Depthwise convolutions of E operations, stride 1, of the dilation given rather than the layers' own."""
    return depthwise(maps, side_by_side([layer.weight for layer in layers]).to(maps.dtype), dilation)


def pointwise_of(maps: Tensor, layers: Sequence[nn.Conv2d]) -> Tensor:
    """1x1 convolutions of E operations, each of its own part of the channels."""
    return pointwise(maps, torch.stack([layer.weight.flatten(1) for layer in layers]).to(maps.dtype))


def normed(
    maps: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    statistics: RunningStatistics,
    scales: Sequence[Tensor] | None = None,
    rectify: bool = False,
) -> Tensor:
    """Batch norm of E operations without parameters, each channel scaled.

    Args:
        norms: whose running statistics move.
        scales: of the channels of maps, in parts that follow each other; 1 if not given.
        rectify: whether a ReLU follows.
    """
    scale = None if scales is None else side_by_side(scales)
    normal = batch_norm(maps, scale, norms[0].eps, rectify)
    statistics.note(norms, normal.mean, normal.variance)
    return normal.maps


def shared_norm(maps: Tensor, norms: Sequence[Sequence[nn.BatchNorm2d]], statistics: RunningStatistics) -> Tensor:
    """The batch norm of maps that equal norms (E, K) would give E times; the running statistics of all of them move."""
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
    """FactorizedReduce of operations (E, K) that read the same maps, after their ReLU.

    Returns:
        (B, H / 2, W / 2, E * K * C).
    """
    height, width = rectified.shape[1:3]
    straight = rectified[:, ::2, ::2]
    shifted = functional.pad(rectified, (0, 0, 0, width % 2, 0, height % 2))[:, 1::2, 1::2]
    halves = [_half(straight, [[each.straight for each in alike] for alike in layers])]
    halves.append(_half(shifted, [[each.shifted for each in alike] for alike in layers]))
    joined = torch.cat(halves, dim=-1).flatten(-3)
    return normed(joined, [layer.norm for alike in layers for layer in alike], statistics, scales)


def _half(maps: Tensor, layers: Sequence[Sequence[nn.Conv2d]]) -> Tensor:
    """1x1 convolutions (E, K) of the maps of K supernets: (B, H, W, E, K, C')."""
    of_seeds = zip(*layers, strict=True)
    matrices = torch.stack([side_by_side([layer.weight for layer in alike]).flatten(1) for alike in of_seeds])
    mixed = pointwise(maps.contiguous(), matrices.to(maps.dtype))
    return mixed.view(*mixed.shape[:-1], len(layers[0]), len(layers), -1).transpose(-2, -3)


def pooled(maps: Tensor, pool: nn.Module) -> Tensor:
    """A pooling, with the channels last."""
    images: Tensor = pool(maps.permute(0, 3, 1, 2))
    return images.permute(0, 2, 3, 1)
