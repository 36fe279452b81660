"""A search in progress, as strategies see it and as they all descend."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from dropnas.precision import Precision
from dropnas.search.architecture import Alphas
from dropnas.search.optimisers import SGD, Adam
from dropnas.search.supernet import Supernet


@dataclass
class SearchState:
    """A search in progress, as a strategy sees it.

    Attributes:
        supernet: with the weights w.
        alphas: the two leaf tensors.
        weight_optimiser: SGD over `supernet.parameters()`, its learning rate set for the epoch.
        alpha_optimiser: Adam over the alphas. Both have `step`, `zero_grad`, `param_groups` and `state` as in torch.
        generator: on the CPU, for masks and whatever else a strategy draws; reproducible and in the checkpoint.
        precision, device: how and where to compute.
        epoch, epochs: counted from 0, and how many there will be.
        held_out: images (B, 3, H, W) and labels (B,) of this step from the part of the training images on which w is
            not trained; None where the strategy trains w on all of them.
    """

    supernet: Supernet
    alphas: Alphas
    weight_optimiser: SGD
    alpha_optimiser: Adam
    generator: torch.Generator
    precision: Precision
    device: str
    epoch: int
    epochs: int
    held_out: tuple[Tensor, Tensor] | None = None


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], limit: float) -> None:
    """Scale all gradients so that their common norm is at most `limit`, as `clip_grad_norm_` does.

    The norm is taken over one flat copy, since hundreds of small norms take longer.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))
