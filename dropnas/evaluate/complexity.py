"""The size of a network as the field counts it: parameters, and multiply-adds for one image.

Design choices: the auxiliary tower is no part of the network that is deployed, so it is left out, and reported beside.
Multiply-adds are those of convolutions and linear layers (batch norm, pooling and additions are not counted), seen by
hooks while an image without content passes through it with weights on the meta device: no arithmetic, no memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call

AUXILIARY = "auxiliary."


def parameters(network: nn.Module) -> int:
    """The number of weights without the auxiliary tower's."""
    return sum(weight.numel() for name, weight in network.named_parameters() if not name.startswith(AUXILIARY))


def parameters_with_auxiliary(network: nn.Module) -> int:
    """The number of weights with the auxiliary tower's, if there is one."""
    return sum(weight.numel() for weight in network.parameters())


def release_millions(network: nn.Module) -> float:
    """The number that the authors' logger printed: the tower counted, in units of 2^20 (4.1 and 4.4 in Tables 1, 2)."""
    return parameters_with_auxiliary(network) / 2**20


def multiply_adds(network: nn.Module, image_size: tuple[int, int]) -> int:
    """The multiply-adds of convolutions and linear layers for one image (3, height, width), without the tower.

    The network is not changed. What a user's operation computes outside nn.Conv2d and nn.Linear is not seen.
    """
    counted: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counted.append(output[0].numel() * _per_output(module))

    shadows = {name: value.to("meta") for name, value in network.state_dict().items()}
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad(), _evaluating(network):
            functional_call(network, shadows, torch.empty(1, 3, *image_size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    return sum(counted)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, which leaves the tower out; afterwards each module is in its own mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _per_output(module: nn.Module) -> int:
    """Multiply-adds for one element of a layer's output."""
    if isinstance(module, nn.Conv2d):
        return module.in_channels // module.groups * prod(module.kernel_size)
    assert isinstance(module, nn.Linear)
    return module.in_features
