"""The forward pass from images to logits. K supernets of the same structure form groups of channels in one network.

Design choices: the seeds are side by side in the channels, so that one kernel serves all of them; no operation mixes
seeds. The modules of the supernets are used unchanged. After the stem, maps have their channels last. Under autocast,
maps have autocast's type, and weights are converted to this type where they are used. Batch statistics, mixing weights
and the classifier stay in single precision.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.engine.blocks import batch_norm, normed, pointwise_of, reduced, side_by_side, wide
from dropnas.search.engine.mixing_weights import MixingWeights
from dropnas.search.engine.running_statistics import RunningStatistics
from dropnas.search.supernet import Supernet, SupernetCell
from dropnas.space.operations import FactorizedReduce

MixCell = Callable[
    [Sequence[SupernetCell], Sequence[Tensor], MixingWeights, RunningStatistics], Tensor
]  # see `mixed_cell`


def mixed_network(
    supernets: Sequence[Supernet],
    images: Tensor,
    weights: Sequence[MixingWeights],
    statistics: RunningStatistics,
    mix_cell: MixCell,
) -> Tensor:
    """Logits (K, B, classes) of images (K, B, 3, H, W), with the mixing weights of each cell.

    Running statistics are not updated; the statistics of the batch norms are collected in `statistics`.
    """
    kind, dtype = images.device.type, _type_of_maps(images)
    with torch.autocast(kind, enabled=False):
        last = _stem([supernet.stem for supernet in supernets], images.to(dtype), statistics)
        last = _stacked_cells(supernets, last, weights, statistics, mix_cell)
        return _classified(_averaged(last, len(supernets)), [supernet.classifier for supernet in supernets])


def _type_of_maps(images: Tensor) -> torch.dtype:
    """The type of autocast if it is active, otherwise the type of the images."""
    kind = images.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype


def _stacked_cells(
    supernets: Sequence[Supernet],
    stem: Tensor,
    weights: Sequence[MixingWeights],
    statistics: RunningStatistics,
    mix_cell: MixCell,
) -> Tensor:
    """The output of the last cell."""
    last, rectified_before = stem, functional.relu(stem)
    rectified = rectified_before
    stacks: Any = zip(*(supernet.cells for supernet in supernets), strict=True)
    for cells, of_cell in zip(stacks, weights, strict=True):
        inputs = [_preprocessed(rectified_before, [cell.preprocess0 for cell in cells], statistics)]
        inputs.append(_preprocessed(rectified, [cell.preprocess1 for cell in cells], statistics))
        last = mix_cell(cells, inputs, of_cell, statistics)
        rectified_before, rectified = rectified, functional.relu(last)
    return last


def _stem(stems: Sequence[nn.Sequential], images: Tensor, statistics: RunningStatistics) -> Tensor:
    """Convolution and batch norm of the stem: (B, H, W, K * C)."""
    layers: Any = [list(stem) for stem in stems]
    convolutions = zip(images, (convolution for convolution, _ in layers), strict=True)
    answers = [functional.conv2d(image, layer.weight.to(image.dtype), None, 1, 1) for image, layer in convolutions]
    maps = torch.cat(answers, dim=1)
    norms = [norm for _, norm in layers]
    scale, shift = (side_by_side([getattr(norm, name) for norm in norms]) for name in ("weight", "bias"))
    last = maps.permute(0, 2, 3, 1).contiguous()
    normal = batch_norm(last, scale, norms[0].eps, shift=shift)
    statistics.note(norms, normal.mean, normal.variance)
    return normal.maps


def _preprocessed(rectified: Tensor, layers: Sequence[nn.Module], statistics: RunningStatistics) -> Tensor:
    if isinstance(layers[0], FactorizedReduce):
        return reduced(rectified, [layers], statistics)  # type: ignore[list-item]
    _, convolutions, norms = (list[Any](step) for step in zip(*(layer.children() for layer in layers), strict=True))
    return normed(pointwise_of(rectified, convolutions), norms, statistics)


def _averaged(maps: Tensor, seeds: int) -> Tensor:
    """The mean over the pixels of each image: (B, H, W, K * C) to (K, B, C)."""
    return wide(maps).view(*maps.shape[:-1], seeds, -1).permute(3, 0, 1, 2, 4).mean(dim=(2, 3))


def _classified(features: Tensor, classifiers: Sequence[nn.Linear]) -> Tensor:
    """Logits (K, B, classes) of features (K, B, C)."""
    matrices, shifts = (torch.stack([getattr(layer, name) for layer in classifiers]) for name in ("weight", "bias"))
    return torch.baddbmm(shifts[:, None], features, matrices.transpose(1, 2))
