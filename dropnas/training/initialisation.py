"""PyTorch's default initial weights, drawn from an explicit generator.

Design choices: constructors draw from the global generator, so their weights depend on everything that was created
before. Here all weights are drawn again, module by module in the order of `modules()`, from PyTorch's default
distributions. Other layers, such as those of a user's operation, use their own `reset_parameters`. For this call only,
the global generator is seeded from the given one.

The initial weights of batch norm are an option. Since version 1.2 PyTorch sets them to 1; before, they were uniform in
(0, 1). They are drawn after all other weights, so the others are the same with either option.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from dropnas.training.config import NormWeight


def initialise(module: nn.Module, generator: torch.Generator, norm_weight: NormWeight = "ones") -> None:
    """Draw new weights for all layers in a module.

    The weights of convolutions and linear layers are uniform in ±1/sqrt(fan_in), weight before bias. Normalisation
    layers start with bias 0 and new running statistics. Parameters of a module without `reset_parameters` do not
    change. The module and the generator may be on different devices.
    """
    for layer in module.modules():
        if isinstance(layer, _ConvNd | nn.Linear):
            _draw_uniform(layer, generator)
        elif isinstance(layer, _NormBase):
            layer.reset_parameters()
        elif hasattr(layer, "reset_parameters"):
            _draw_through(layer, generator)
    if norm_weight == "uniform":
        for layer in module.modules():
            if isinstance(layer, _NormBase) and layer.affine:
                _draw(layer.weight, 0.0, 1.0, generator)


def _draw_uniform(layer: _ConvNd | nn.Linear, generator: torch.Generator) -> None:
    fan_in, _ = nn.init._calculate_fan_in_and_fan_out(layer.weight)
    bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0
    for parameter in (layer.weight, layer.bias):
        if parameter is not None:
            _draw(parameter, -bound, bound, generator)


@torch.no_grad()
def _draw(parameter: Tensor, low: float, high: float, generator: torch.Generator) -> None:
    drawn = torch.empty(parameter.shape, dtype=parameter.dtype, device=generator.device)
    parameter.copy_(drawn.uniform_(low, high, generator=generator))


def _draw_through(layer: nn.Module, generator: torch.Generator) -> None:
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer.reset_parameters()  # type: ignore[operator]
