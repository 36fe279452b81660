"""Adam for ProxylessNAS, where a step updates the alphas of only some edges."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dropnas.training.optimisers import EPSILON, Adam


class EdgewiseAdam(Adam):
    """Adam that treats each edge of the alphas as a separate parameter; an edge that is not updated keeps its state.

    Like torch's Adam, it counts the steps of each parameter: `slots["steps"]` is (K, 2, edges, 1).
    """

    def __init__(self, alphas: Tensor, learning_rate: float, betas: tuple[float, float]) -> None:
        super().__init__([alphas], learning_rate, betas)
        self.slots["steps"] = [torch.zeros_like(alphas[..., :1], requires_grad=False)]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], moving: Tensor | None = None) -> None:
        """Update the alphas of the `moving` edges, a bool mask (K, 2, edges, 1); None means all edges."""
        (gradient,), (alphas,), (average,), (squared,), (steps,) = gradients, self.parameters, *self.slots.values()
        moving = torch.ones_like(steps, dtype=torch.bool) if moving is None else moving
        first, second = self.betas
        taken = steps + 1
        mean = first * average + (1 - first) * gradient
        square = second * squared + (1 - second) * gradient.square()
        scale = (square / (1 - second**taken)).sqrt() + EPSILON
        moved = alphas - self.rate.to(alphas) * mean / (1 - first**taken) / scale
        for tensor, new in ((alphas, moved), (average, mean), (squared, square), (steps, taken)):
            tensor.copy_(torch.where(moving, new, tensor))
