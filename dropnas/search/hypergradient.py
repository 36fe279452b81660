"""The gradient of DARTS' two-level search (Liu et al., 2019, Section 2.3, Eq. 7 and 8): pure mathematics.

Design choices: it is given the gradients of two loss functions and knows neither supernet nor data, so that it can be
checked on problems small enough to have an analytic answer. Signs, virtual step and the length of the finite
difference are those published. Nothing is moved in place and nothing waits for a device.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Loss = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]  # of w and alpha: a scalar
Gradient = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], list[Tensor]]  # at w, alpha; in which
LENGTH = 0.01  # of the finite difference in w: epsilon = LENGTH / ||v||


class Descent(NamedTuple):
    """One step of SGD on w.

    Attributes:
        rate: the learning rate, xi in the paper.
        momentum, decay: momentum mu and L2 coefficient lambda.
    """

    rate: float
    momentum: float
    decay: float


def gradient_of(loss: Loss) -> Gradient:
    """The gradient of a loss by automatic differentiation; zeros for what the loss does not depend on."""

    def gradient(weights: Sequence[Tensor], alphas: Sequence[Tensor], variables: Sequence[Tensor]) -> list[Tensor]:
        return list(torch.autograd.grad(loss(weights, alphas), variables, materialize_grads=True))

    return gradient


def first_order(validation: Gradient, weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of L_val(w, alpha) in alpha at the present w: xi = 0."""
    return validation(weights, alphas, alphas)


def second_order(
    training: Gradient,
    validation: Gradient,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    velocities: Sequence[Tensor],
    descent: Descent,
    perturbed: Gradient | None = None,
) -> list[Tensor]:
    """The gradient of L_val(w'(alpha), alpha) in alpha, where w' is w after one step on L_train (Eq. 7).

    Args:
        training, validation: gradients of L_train and L_val.
        weights, alphas: w and alpha; leaves that require gradients.
        velocities: momentum buffers of the weights, zeros before the first step.
        descent: the virtual step.
        perturbed: the gradient of L_train as the finite difference computes it; as `training` if not given.
    """
    moved = virtual_step(training, weights, alphas, velocities, descent)
    gradients = validation(moved, alphas, [*alphas, *moved])
    direct, vector = gradients[: len(alphas)], gradients[len(alphas) :]
    mixed = mixed_derivative(perturbed or training, weights, alphas, vector)
    return [one - descent.rate * other for one, other in zip(direct, mixed, strict=True)]


def virtual_step(
    training: Gradient,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    velocities: Sequence[Tensor],
    descent: Descent,
) -> list[Tensor]:
    """w' = w - xi (mu velocity + gradient of L_train + lambda w), new leaves; the gradient is not clipped."""
    gradients = training(weights, alphas, weights)
    return [
        (w - descent.rate * (descent.momentum * velocity + gradient + descent.decay * w)).detach().requires_grad_()
        for w, velocity, gradient in zip(weights, velocities, gradients, strict=True)
    ]


def mixed_derivative(
    training: Gradient, weights: Sequence[Tensor], alphas: Sequence[Tensor], vector: Sequence[Tensor]
) -> list[Tensor]:
    """The derivative of the gradient of L_train in alpha along v in w, by a central difference (Eq. 8).

    It is exact where that gradient is linear or quadratic in w, and zero where v is zero.
    """
    norm = torch.cat([v.flatten() for v in vector]).norm()
    epsilon = LENGTH / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    above = training([(w + epsilon * v).detach() for w, v in zip(weights, vector, strict=True)], alphas, alphas)
    below = training([(w - epsilon * v).detach() for w, v in zip(weights, vector, strict=True)], alphas, alphas)
    return [(upper - lower) / (2 * epsilon) for upper, lower in zip(above, below, strict=True)]
