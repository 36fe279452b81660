"""The two optimisers and the clip as pure functions of K searches, which are the first axis of all values.

Design choices: the arithmetic is that of torch's SGD and Adam; what they hold as numbers on the host (learning rate,
count of steps) is a tensor here, since a captured step cannot be told another number.
"""

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-8  # of Adam, as torch's


class Averages(NamedTuple):
    """What Adam remembers.

    Attributes:
        first, second: of the gradient and its square, in the shape of the alphas.
        steps: double (K,), how many there were.
    """

    first: Tensor
    second: Tensor
    steps: Tensor


def clipped(gradients: Tensor, limit: float) -> Tensor:
    """Gradients (K, weights), those of each search scaled so that their norm is at most `limit`."""
    norms: Tensor = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    return gradients * (limit / (norms + 1e-6)).clamp(max=1.0)


def sgd(weights: Tensor, velocity: Tensor, gradients: Tensor, rate: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Weights and velocity (K, weights) after a step with the learning rate ()."""
    velocity = momentum * velocity + gradients
    return weights - rate * velocity, velocity


def adam(
    alphas: Tensor, averages: Averages, gradients: Tensor, rate: float, betas: tuple[float, float]
) -> tuple[Tensor, Averages]:
    """Alphas (K, ...) and averages after a step; corrections are computed in double precision, as torch does."""
    first = averages.first.lerp(gradients, 1 - betas[0])
    second = averages.second * betas[1] + (1 - betas[1]) * gradients * gradients
    steps = averages.steps + 1
    corrections = ((1 - beta**steps).view(-1, *[1] * (alphas.dim() - 1)) for beta in betas)
    of_first, of_second = corrections
    divisor = second.sqrt() / of_second.sqrt().to(alphas.dtype) + EPSILON
    moved = alphas - (rate / of_first).to(alphas.dtype) * first / divisor
    return moved, Averages(first, second, steps)


def only(moving: Tensor, after: Tensor, before: Tensor) -> Tensor:
    """What moves as it is after a step, the rest as before; moving is bool."""
    return torch.where(moving, after, before)
