"""The two optimisers of a search, as strategies use them: torch's arithmetic and names without its classes.

Design: the first object of any class of torch.optim imports torch's compiler, which takes almost as long as torch
itself and is never used here. The functions that those classes call do not, and give the same numbers to the bit.
`param_groups`, `state`, `step` and `zero_grad` are those of torch, so a strategy need not know the difference; there is
one group. Weight decay is the strategy's business, since only what was kept decays.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

EPSILON = 1e-8  # of Adam, as torch's


class Optimiser:
    """What both have in common.

    Attributes:
        param_groups: one group, a dict with `params` and `lr`; the learning rate may be set anew at any time.
        state: of each parameter, what the optimiser remembers.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": learning_rate}]
        self.state: dict[Tensor, dict[str, Tensor]] = {parameter: {} for parameter in self.param_groups[0]["params"]}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Free the gradients, or set them to zero."""
        for parameter in self.state:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.detach_().zero_()

    def state_dict(self) -> dict[str, Any]:
        """The learning rate, and what is remembered of each parameter in their order."""
        return {"lr": self.param_groups[0]["lr"], "state": [dict(values) for values in self.state.values()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state; what has a parameter's shape moves to its device."""
        self.param_groups[0]["lr"] = state["lr"]
        for parameter, saved in zip(self.state, state["state"], strict=True):
            self.state[parameter] = {
                name: value.clone() if name == "step" else torch.empty_like(parameter).copy_(value)
                for name, value in saved.items()
            }

    def _moving(self) -> list[Tensor]:
        return [parameter for parameter in self.state if parameter.grad is not None]


class SGD(Optimiser):
    """As torch.optim.SGD with `fused`.

    Momentum (`momentum_buffer`) starts as zeros rather than as nothing, since the fused kernel cannot start that of
    some weights only (those that the first batch kept, where what was dropped is frozen). The first step is the same.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float, momentum: float) -> None:
        super().__init__(parameters, learning_rate)
        self.momentum = momentum
        if momentum:
            for parameter, remembered in self.state.items():
                remembered["momentum_buffer"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moving = self._moving()
        sgd(
            moving,
            [gradient for parameter in moving if (gradient := parameter.grad) is not None],
            [self.state[parameter].get("momentum_buffer") for parameter in moving],
            fused=True,
            lr=self.param_groups[0]["lr"],
            momentum=self.momentum,
            weight_decay=0.0,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class Adam(Optimiser):
    """As torch.optim.Adam; it remembers `step`, `exp_avg` and `exp_avg_sq` from a parameter's first gradient on."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters, learning_rate)
        self.betas = betas

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moving = self._moving()
        for parameter in moving:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros(()),  # on the host, as torch has it
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        adam(
            moving,
            [gradient for parameter in moving if (gradient := parameter.grad) is not None],
            [self.state[parameter]["exp_avg"] for parameter in moving],
            [self.state[parameter]["exp_avg_sq"] for parameter in moving],
            [],
            [self.state[parameter]["step"] for parameter in moving],
            lr=self.param_groups[0]["lr"],
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=EPSILON,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )
