"""What layers do one by one in a forward pass, done for all of them by a kernel: casting weights, counting batches.

Design choices: each is a kernel of microseconds on a GPU, but there are hundreds of them in a step, so that they are
a good part of the time of a network that rounds to bfloat16. Casts are those of autocast, to the bit, and autocast
finds nothing left to do for these layers; what it does for a user's own layers it still does. Layers see their cast
weights, and no counter, in a forward pass only: what is saved, loaded and trained are the usual tensors.
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
    """A network's weights that autocast would cast, and its counters of batches.

    Args:
        network: where it will be trained; its parameters and buffers stay where they are.
        precision: of its forward passes.
        device: torch device string.
    """

    def __init__(self, network: nn.Module, precision: Precision, device: str) -> None:
        self.network, self.precision, self.device = network, precision, device
        self.weights = [
            (layer, name)
            for layer in network.modules()
            if isinstance(layer, _ConvNd | nn.Linear)
            for name, weight in layer.named_parameters(recurse=False)
            if weight.dtype == torch.float32
        ]
        self.counting = [  # without a momentum the counter is part of the arithmetic
            layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.momentum is not None
        ]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The context of one forward pass and its loss."""
        with autocast(self.precision, self.device), self._cast(), self._counted():
            yield

    @contextmanager
    def _cast(self) -> Iterator[None]:
        """The weights in bfloat16 where the precision says so."""
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
        """One batch more for each batch norm in training."""
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
    """float32 to bfloat16 and gradients back, in one pass each."""

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
