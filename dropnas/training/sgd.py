"""SGD with momentum: torch's own arithmetic, without its optimiser class.

Design: the first object of any class of torch.optim imports torch's compiler, which takes almost as long as torch
itself and is never used here. The function that those classes call does not, and gives the same numbers to the bit.
It is the fused form, of which many small weights are no burden. On a GPU its learning rate is a tensor there, so that
a captured step can be given another one; momenta are there from the start and stay where they are, for the same reason.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """As torch.optim.SGD with one group of parameters and `fused`.

    Args:
        parameters: what is trained; they keep their order.
        learning_rate: may be set anew at any time.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, momentum: float, weight_decay: float
    ) -> None:
        self.parameters = list(parameters)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.momenta = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.on_gpu = any(parameter.is_cuda for parameter in self.parameters)
        self.rate = torch.empty((), device=self.parameters[0].device)  # the learning rate, where the parameters are
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = value
        self.rate.fill_(value)

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moving = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        sgd(
            [self.parameters[index] for index in moving],
            [gradient for index in moving if (gradient := self.parameters[index].grad) is not None],
            [self.momenta[index] for index in moving],
            fused=True,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.rate if self.on_gpu else self.learning_rate,  # type: ignore[arg-type]
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )

    def forget_gradients(self) -> None:
        """Free the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"learning_rate": self.learning_rate, "momenta": self.momenta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state, in place."""
        self.learning_rate = state["learning_rate"]
        for momentum, saved in zip(self.momenta, state["momenta"], strict=True):
            momentum.copy_(saved)
