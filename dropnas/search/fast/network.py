"""From images to logits: K supernets of equal shape as groups of one network.

Design choices: seeds stand side by side in the channels, so that each kernel serves all of them; no operation mixes
them. The modules of the supernets are used where they are. Maps have their channels last from the stem's output on.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.fast.blocks import normed, pointwise_of, reduced, side_by_side
from dropnas.search.fast.cell import mixed_cell
from dropnas.search.fast.mixing import Weights
from dropnas.search.fast.tally import Tally
from dropnas.search.supernet import Supernet
from dropnas.space.operations import FactorizedReduce


def mixed_network(supernets: Sequence[Supernet], images: Tensor, weights: Iterable[Weights], tally: Tally) -> Tensor:
    """Logits (K, B, classes) of images (K, B, 3, H, W); `weights` are those of each cell.

    Running statistics do not move: what norms saw is noted in `tally`.
    """
    last = _stem([supernet.stem for supernet in supernets], images, tally)
    rectified_before = rectified = functional.relu(last)
    stacks: Any = zip(*(supernet.cells for supernet in supernets), strict=True)
    for cells, of_cell in zip(stacks, weights, strict=True):
        inputs = [_preprocessed(rectified_before, [cell.preprocess0 for cell in cells], tally)]
        inputs.append(_preprocessed(rectified, [cell.preprocess1 for cell in cells], tally))
        last = mixed_cell(cells, inputs, of_cell, tally)
        rectified_before, rectified = rectified, functional.relu(last)
    return _classified(last.mean(dim=(1, 2)), [supernet.classifier for supernet in supernets])


def _stem(stems: Sequence[nn.Sequential], images: Tensor, tally: Tally) -> Tensor:
    """Convolution and batch norm: (B, H, W, K * C)."""
    layers: Any = [list(stem) for stem in stems]
    grouped = images.transpose(0, 1).flatten(1, 2)  # (B, K * 3, H, W)
    kernels = side_by_side([convolution.weight for convolution, _ in layers])
    maps = functional.conv2d(grouped, kernels, None, 1, layers[0][0].padding, groups=len(stems))
    norms = [norm for _, norm in layers]
    scale, shift = (side_by_side([getattr(norm, name) for norm in norms]) for name in ("weight", "bias"))
    mean, variance = torch.zeros_like(scale), torch.zeros_like(scale)  # with momentum 1 they become the batch's
    maps = functional.batch_norm(maps, mean, variance, scale, shift, True, 1.0, norms[0].eps)
    tally.note(norms, mean.chunk(len(norms)), variance.chunk(len(norms)))
    return maps.permute(0, 2, 3, 1).contiguous()


def _preprocessed(rectified: Tensor, layers: Sequence[nn.Module], tally: Tally) -> Tensor:
    if isinstance(layers[0], FactorizedReduce):
        return reduced(rectified, [layers], tally)  # type: ignore[list-item]
    _, convolutions, norms = (list[Any](step) for step in zip(*(layer.children() for layer in layers), strict=True))
    return normed(pointwise_of(rectified, convolutions), norms, tally)


def _classified(features: Tensor, classifiers: Sequence[nn.Linear]) -> Tensor:
    """Logits (K, B, classes) of features (B, K * C)."""
    apart = features.view(len(features), len(classifiers), -1).transpose(0, 1)  # (K, B, C)
    matrices, shifts = (torch.stack([getattr(layer, name) for layer in classifiers]) for name in ("weight", "bias"))
    return torch.baddbmm(shifts[:, None], apart, matrices.transpose(1, 2))
