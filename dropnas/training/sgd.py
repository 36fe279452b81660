"""SGD with momentum: torch's own arithmetic, without its optimiser class.

Design: the first object of any class of torch.optim imports torch's compiler, which takes almost as long as torch
itself and is never used here. The function that those classes call does not, and gives the same numbers to the bit.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """As torch.optim.SGD with one group of parameters and `foreach`.

    Args:
        parameters: what is trained; they keep their order.
        learning_rate: may be set anew at any time.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, momentum: float, weight_decay: float
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay
        self.momenta: list[Tensor | None] = [None] * len(self.parameters)  # None before a parameter's first gradient

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moving = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        momenta = [self.momenta[index] for index in moving]
        sgd(
            [self.parameters[index] for index in moving],
            [gradient for index in moving if (gradient := self.parameters[index].grad) is not None],
            momenta,
            foreach=True,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for index, momentum in zip(moving, momenta, strict=True):
            self.momenta[index] = momentum

    def forget_gradients(self) -> None:
        """Free the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"learning_rate": self.learning_rate, "momenta": self.momenta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Momenta move to the device and layout of their parameters."""
        self.learning_rate = state["learning_rate"]
        self.momenta = [
            None if momentum is None else torch.empty_like(parameter).copy_(momentum)
            for parameter, momentum in zip(self.parameters, state["momenta"], strict=True)
        ]
