"""Computes the costs in SNAS' resource term: the size, multiply-adds and memory accesses of each operation.

Design choices: the costs of an operation are sums over its layers, so they can also be computed for a user's own
operations. If the height and width of the maps are even, these sums equal the entries of the cost tables in SNAS' code.
"""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dropnas.search.supernet import REDUCE, Supernet
from dropnas.space.names import INPUTS
from dropnas.space.operations import Identity
from dropnas.space.spaces import edges

COUNTED_LAYERS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, Identity)


class Cost(NamedTuple):
    """The costs of an operation on one image: convolution weights, multiply-adds, and values read or written."""

    size: int
    multiply_adds: int
    accesses: int


def costs(supernet: Supernet, height: int, width: int) -> Tensor:
    """The costs of all operations for images of this size: double (3, cells, edges, operations), on the CPU."""
    found = [cost_of(*each) for each in _operations(supernet, height, width)]
    shape = (len(supernet.kinds), *supernet.edges_and_operations)
    return torch.tensor(found, dtype=torch.float64).t().reshape(3, *shape)


def cost_of(operation: nn.Module, channels: int, height: int, width: int) -> Cost:
    """The costs of an operation whose input is a single image of shape (channels, height, width)."""
    found = list[Cost]()
    shadow = copy.deepcopy(operation).to("meta")  # computes only shapes, and leaves the running statistics unchanged
    for layer in shadow.modules():
        if isinstance(layer, COUNTED_LAYERS):
            layer.register_forward_hook(lambda layer, inputs, output: found.append(_of_layer(layer, inputs[0], output)))
    shadow(torch.empty(2, channels, height, width, device="meta"))
    return Cost(*map(sum, zip(Cost(0, 0, 0), *found, strict=True)))


def _of_layer(layer: Any, maps: Tensor, output: Tensor) -> Cost:
    """The cost of one layer.

    For each output pixel, a convolution or pooling of stride s reads s * s values of each input channel. Reading the
    weights of a convolution is counted as well.
    """
    pixels, stride = output[0, 0].numel(), layer.stride if hasattr(layer, "stride") else 1
    stepped = stride[0] * stride[1] if isinstance(stride, tuple) else stride**2
    accesses = pixels * (stepped * maps.shape[1] + output.shape[1])
    if isinstance(layer, nn.Conv2d):
        size = layer.weight.numel()
        return Cost(size, size * pixels, accesses + size)
    if isinstance(layer, Identity):
        return Cost(0, 0, accesses)
    return Cost(0, layer.kernel_size**2 * pixels * output.shape[1], accesses)


def _operations(supernet: Supernet, height: int, width: int) -> Iterator[tuple[nn.Module, int, int, int]]:
    """Yield each operation with the size of its input maps, in the order (cell, edge, operation)."""
    cells: Any = zip(supernet.cells, supernet.kinds, strict=True)
    for cell, kind in cells:
        inner = (-(-height // 2), -(-width // 2)) if kind == REDUCE else (height, width)
        for (_, predecessor), edge in zip(edges(), cell.edges, strict=True):
            sides = (height, width) if predecessor < INPUTS else inner
            yield from ((operation, edge.channels, *sides) for operation in edge)
        height, width = inner
