"""The size of a network as the literature counts it: parameters, and multiply-adds for one image.

Design choices: the auxiliary tower is not part of the deployed network, so it is left out and reported separately.
The multiply-adds of convolutions and linear layers are counted while an image of zeros passes through the network. The
pass takes hardly any time or memory: each convolution computes only one channel, to get the shape of its output, and
all weights are views of a single zero. torch's meta device is not used, because it imports torch's compiler.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

AUXILIARY = "auxiliary."


def parameters(network: nn.Module) -> int:
    """The number of weights without the auxiliary tower."""
    return sum(weight.numel() for name, weight in network.named_parameters() if not name.startswith(AUXILIARY))


def parameters_with_auxiliary(network: nn.Module) -> int:
    """The number of weights including the auxiliary tower, if there is one."""
    return sum(weight.numel() for weight in network.parameters())


def release_millions(network: nn.Module) -> float:
    """The number of weights as the authors log it: with the tower, in units of 2^20 (4.1 and 4.4 in Tables 1, 2)."""
    return parameters_with_auxiliary(network) / 2**20


def multiply_adds(network: nn.Module, image_size: tuple[int, int]) -> int:
    """The multiply-adds of convolutions and linear layers for one image (3, height, width), without the tower.

    The network is left in evaluation mode, which skips the tower. Only calls to `conv2d` and `linear` of
    torch.nn.functional are counted; this includes calls from a user's own operations.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    zeros = {name: torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in tensors}
    counting = _Counting()
    with torch.no_grad(), counting:
        functional_call(network.eval(), zeros, torch.zeros(1, 3, *image_size))
    return counting.multiply_adds


class _Counting(TorchFunctionMode):
    """Adds up the multiply-adds of all calls to `conv2d` and `linear` while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        named = named or {}
        if function is functional.conv2d:
            return self._counted(_of_that_shape(*arguments, **named), *arguments, **named)
        if function is functional.linear:
            return self._counted(function(*arguments, **named), *arguments, **named)
        return function(*arguments, **named)

    def _counted(self, output: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Tensor:
        self.multiply_adds += output.numel() * weight[0].numel()
        return output


def _of_that_shape(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, *geometry: Any, groups: int = 1, **named: Any
) -> Tensor:
    """A tensor with the shape of a convolution's output."""
    thin = functional.conv2d(input.narrow(-3, 0, 1), weight[:1, :1], None, *geometry[:3], **named)
    return thin.expand(*thin.shape[:-3], len(weight), *thin.shape[-2:])
