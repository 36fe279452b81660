"""A faster forward pass of a CIFAR network for small images on a CPU, with the same result up to rounding.

Design choices: feature maps are (C, B, H, W). A 1x1 convolution is then one matrix product for the batch, and a
depthwise convolution is a product of small matrices for each channel. The network's own modules are used, with their
parameters, running statistics and mode. Layers of other types are called with (B, C, H, W) maps.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.evaluate.cells import Cell
from dropnas.evaluate.stack import AuxiliaryTower, CellStack, EvaluationNetwork, Forward, Outputs
from dropnas.space.genotype import EDGES_PER_NODE
from dropnas.space.operations import FactorizedReduce, Identity
from dropnas.space.small_maps import tap_matrices

LARGEST_IMAGE = 256  # measured: this pass is faster for images with at most this many pixels (16x16)
LARGEST_AS_MATRIX = 128  # measured: `_depthwise` is faster for feature maps with at most this many pixels


def fastest(network: EvaluationNetwork, pixels: int, device: str) -> Forward:
    """Choose the faster forward pass for images of this size: the network's own or the one in this module."""
    if device == "cpu" and pixels <= LARGEST_IMAGE:
        return lambda images, masks: forward(network, images, masks)
    return network


def forward(network: EvaluationNetwork, images: Tensor, masks: Tensor | None = None) -> Outputs:
    """Compute the logits and auxiliary logits of images (B, 3, H, W), as the network's own forward pass does."""
    states, _ = network.stem(images)
    masks = None if masks is None or not network.training else masks.transpose(1, 2)  # (edges, 1, B, 1, 1)
    last, auxiliary = _stacked(network.stack, states.transpose(0, 1).contiguous(), masks)
    logits: Tensor = network.classifier(last.mean(dim=(2, 3)).t())  # (C, B, H, W) -> (B, C) -> (B, classes)
    if network.auxiliary is None or not network.training:
        return logits, None
    return logits, _tower(network.auxiliary, auxiliary)


def _stacked(stack: CellStack, stem: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
    """The outputs of the last cell and of the cell that the auxiliary tower reads."""
    before_last = last = auxiliary = stem
    of_cells: Any = [None] * len(stack.cells) if masks is None else torch.split(masks, stack.edge_counts)
    for index, (cell, of_cell) in enumerate(zip(stack.cells, of_cells, strict=True)):
        before_last, last = last, _cell(cell, before_last, last, of_cell)  # type: ignore[arg-type]
        if index == stack.auxiliary_cell:
            auxiliary = last
    return last, auxiliary


def _cell(cell: Cell, before_last: Tensor, last: Tensor, masks: Tensor | None) -> Tensor:
    """The concatenated nodes: (C * nodes, B, H, W)."""
    states = [_through(cell.preprocess_before_last, before_last), _through(cell.preprocess_last, last)]
    for first in range(0, len(cell.operations), EDGES_PER_NODE):
        left, right = (_edge(cell, edge, states, masks) for edge in range(first, first + EDGES_PER_NODE))
        states.append(left + right)
    return torch.cat([states[node] for node in cell.concat])


def _edge(cell: Cell, edge: int, states: list[Tensor], masks: Tensor | None) -> Tensor:
    operation = cell.operations[edge]
    result = _through(operation, states[cell.predecessors[edge]])
    if masks is None or isinstance(operation, Identity):
        return result
    return result * masks[edge].to(result.dtype)  # (C, B, H, W) * (1, B, 1, 1)


def _tower(tower: AuxiliaryTower, states: Tensor) -> Tensor:
    pooled = tower.pooled(functional.relu(states))  # (C, B, 2, 2)
    logits: Tensor = tower.classifier(_through(tower.features, pooled).flatten(1).t())
    return logits


def _through(layer: nn.Module, maps: Tensor) -> Tensor:
    """The output of a layer for maps (C, B, H, W)."""
    known = LAYER_PASSES.get(type(layer))
    if known is not None:
        return known(layer, maps)
    if isinstance(layer, nn.Sequential):
        for each in layer:
            maps = _through(each, maps)
        return maps
    return _as_usual(layer, maps)


def _same(layer: nn.Module, maps: Tensor) -> Tensor:
    """Apply a layer that treats each map separately, so that the order of the first two axes does not matter."""
    answer: Tensor = layer(maps)
    return answer


def _convolution(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """Apply a convolution by the method that suits its type: depthwise, 1x1, a kernel as large as the map, or other."""
    is_small = maps[0, 0].numel() <= LARGEST_AS_MATRIX
    if is_small and layer.bias is None and layer.groups == layer.in_channels == layer.out_channels:
        return _depthwise(layer, maps)
    whole = layer.kernel_size == tuple(maps.shape[2:]) and layer.padding == (0, 0)
    if layer.bias is None and layer.groups == 1 and (layer.kernel_size == (1, 1) or whole):
        return _product(layer, maps)
    return _as_usual(layer, maps)


def _depthwise(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    settings: Any = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    taps, sides = tap_matrices(*settings, *maps.shape[2:], layer.weight.dtype)
    matrices = (layer.weight.flatten(1) @ taps).view(len(maps), maps[0, 0].numel(), -1)  # (C, H * W, H' * W')
    return torch.bmm(maps.flatten(2), matrices).view(*maps.shape[:2], *sides)


def _product(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """Apply a convolution with a kernel of 1x1 or of the map's size as a matrix product: (C', B, H', W')."""
    if layer.kernel_size == (1, 1):
        maps = maps[:, :, :: layer.stride[0], :: layer.stride[1]]
        return (layer.weight.flatten(1) @ maps.flatten(1)).view(-1, *maps.shape[1:])
    rows = maps.transpose(0, 1).flatten(1)  # (B, C * H * W)
    return functional.linear(rows, layer.weight.flatten(1)).t()[..., None, None]


def _as_usual(layer: nn.Module, maps: Tensor) -> Tensor:
    answer: Tensor = layer(maps.transpose(0, 1))  # (B, C, H, W)
    return answer.transpose(0, 1)


def _norm(layer: nn.BatchNorm2d, maps: Tensor) -> Tensor:
    """Batch norm of each channel; torch gets the entire batch as one image of height 1."""
    normed: Tensor = layer(maps.reshape(1, len(maps), 1, -1))
    return normed.view(maps.shape)


def _reduced(layer: FactorizedReduce, maps: Tensor) -> Tensor:
    maps = functional.relu(maps)
    height, width = maps.shape[2:]
    shifted = functional.pad(maps, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
    return _norm(layer.norm, torch.cat([_product(layer.straight, maps), _product(layer.shifted, shifted)]))


LAYER_PASSES: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _norm,
    nn.ReLU: _same,
    nn.MaxPool2d: _same,
    nn.AvgPool2d: _same,
    Identity: _same,
    FactorizedReduce: _reduced,
}
