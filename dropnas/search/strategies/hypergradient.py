"""The second-order gradient of DARTS' two-level search (Liu et al., 2019, Section 2.3, Eq. 7 and 8).

Design choices: the functions take the gradients of two losses and know neither the supernet nor the data. They can
therefore be tested on small problems with an analytic answer. The signs, the virtual step and the length of the finite
difference are as published. All tensors have the K seeds as their first axis; seeds do not mix.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Gradient = Callable[[Tensor], Tensor]  # w (K, weights) -> gradient of a loss with respect to w or alpha (K, ...)
LENGTH = 0.01  # length of the finite difference in w: epsilon = LENGTH / ||v||


class VirtualStep(NamedTuple):
    """One step of SGD on w.

    Attributes:
        rate: the learning rate (xi in the paper), a scalar tensor or a number.
        momentum, decay: the momentum mu and the L2 coefficient lambda.
    """

    rate: Tensor | float
    momentum: float
    decay: float


def second_order(
    training: Gradient,
    validation: Callable[[Tensor], tuple[Tensor, Tensor]],
    perturbed: Gradient,
    weights: Tensor,
    velocity: Tensor,
    step: VirtualStep,
) -> Tensor:
    """The gradient of L_val(w'(alpha), alpha) with respect to alpha; w' is w after one step on L_train (Eq. 7).

    Args:
        training: computes the gradient of L_train with respect to w.
        validation: computes the gradients of L_val with respect to w and to alpha.
        perturbed: computes the gradient of L_train with respect to alpha, for the finite difference.
        weights, velocity: w and its momentum buffer, each (K, weights).
        step: the virtual step.
    """
    moved = virtual_step(training, weights, velocity, step)
    vector, direct = validation(moved)
    return direct - step.rate * mixed_derivative(perturbed, weights, vector)


def virtual_step(training: Gradient, weights: Tensor, velocity: Tensor, step: VirtualStep) -> Tensor:
    """w' = w - xi (mu velocity + gradient of L_train + lambda w); the gradient is not clipped."""
    return weights - step.rate * (step.momentum * velocity + training(weights) + step.decay * weights)


def mixed_derivative(training: Gradient, weights: Tensor, vector: Tensor) -> Tensor:
    """Differentiate `training` with respect to w along the direction v, by a central difference (Eq. 8).

    `training` computes the gradient of L_train with respect to alpha. The result is exact if this gradient is linear or
    quadratic in w, and zero if v is zero.
    """
    norms = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
    epsilon = LENGTH / norms.clamp(min=torch.finfo(norms.dtype).tiny)
    above, below = training(weights + epsilon * vector), training(weights - epsilon * vector)
    slope: Tensor = (above - below) / (2 * epsilon.view(-1, *[1] * (above.dim() - 1)))
    return slope
