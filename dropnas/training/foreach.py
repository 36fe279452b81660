"""Casts the weights of all layers with one kernel, and increments the batch counters of all batch norms with another.

Design choices: on a GPU, hundreds of small kernels would take a considerable part of a bfloat16 step. The cast weights
are bitwise identical to autocast's; autocast itself then casts only the weights of a user's own layers. During a
forward pass, the layers use the cast weights and do not count batches themselves. At all other times they have the
original tensors, which are trained, saved and loaded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from dropnas.training.config import Precision
from dropnas.training.precision import autocast


class ForeachLayers:
    """The weights that autocast would cast and the batch counters of a network, all on the training device."""

    def __init__(self, network: nn.Module, precision: Precision, device: str) -> None:
        self.network, self.precision, self.device = network, precision, device
        self.weights = [
            (layer, name)
            for layer in network.modules()
            if isinstance(layer, _ConvNd | nn.Linear)
            for name, weight in layer.named_parameters(recurse=False)
            if weight.dtype == torch.float32
        ]
        self.counting = [  # without momentum, batch norm computes with the counter
            layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.momentum is not None
        ]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The context of one forward pass and its loss."""
        with autocast(self.precision, self.device), self._cast(), self._counted():
            yield

    @contextmanager
    def _cast(self) -> Iterator[None]:
        """Replace the weights by bfloat16 copies, if the precision requires it."""
        if self.precision != "bf16":
            yield
            return
        own: list[Any] = [layer._parameters[name] for layer, name in self.weights]
        try:
            for (layer, name), copy in zip(self.weights, _Cast.apply(*own), strict=True):  # type: ignore[no-untyped-call]
                layer._parameters[name] = copy
            yield
        finally:
            for (layer, name), weight in zip(self.weights, own, strict=True):
                layer._parameters[name] = weight

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Increase the counter of each batch norm in training mode by one."""
        counters = {
            layer: layer.num_batches_tracked
            for layer in self.counting
            if layer.training and layer.num_batches_tracked is not None
        }
        try:
            for layer in counters:
                layer.num_batches_tracked = None
            yield
        finally:
            for layer, counter in counters.items():
                layer.num_batches_tracked = counter
        if counters:
            torch._foreach_add_([*counters.values()], 1)


class _Cast(torch.autograd.Function):
    """Casts float32 tensors to bfloat16, and their gradients back, each in one pass."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(_copied(weights, torch.bfloat16))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        copies = iter(_copied([gradient for gradient in gradients if gradient is not None], torch.float32))
        return tuple(None if gradient is None else next(copies) for gradient in gradients)


def _copied(tensors: list[Tensor] | tuple[Tensor, ...], kind: torch.dtype) -> list[Tensor]:
    copies = [torch.empty_like(tensor, dtype=kind) for tensor in tensors]
    torch._foreach_copy_(copies, tensors)
    return copies
