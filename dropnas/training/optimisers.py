"""SGD and Adam for searches, retrainings and transfers: torch's fused kernels without torch's optimiser classes.

Design choices: creating an optimiser of `torch.optim` imports torch's compiler. This takes almost as long as importing
torch, and the compiler is never used here. The functions behind these optimisers do not import it. Everything that a
step reads or changes, including the learning rate, is a tensor on the device of the parameters. A step can therefore be
replayed as a CUDA graph.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from dropnas.errors import DropnasError

EPSILON = 1e-8  # Adam's epsilon, as in torch


class Optimiser:
    """The base class of SGD and Adam. The learning rate may be changed at any time."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self.parameters = list(parameters)
        first = self.parameters[0]
        # the learning rate; torch's fused kernels read it in single precision on a GPU, and in double on a CPU
        self.rate = torch.zeros((), device=first.device, dtype=torch.float32 if first.is_cuda else torch.float64)
        self.slots: dict[str, list[Tensor]] = {}  # running averages by name, in the order of the parameters
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next steps."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = value
        self.rate.fill_(value)

    def _matched(self, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the gradients in the memory layout of their parameters.

        The fused kernels check neither shape nor layout.

        Raises:
            DropnasError: the gradients differ from the parameters in number, shape or type.
        """
        if len(gradients) != len(self.parameters):
            raise DropnasError(
                f"{len(gradients)} gradients for {len(self.parameters)} parameters",
                where=f"step of {type(self).__name__}",
                remedy="give one for each parameter",
            )
        pairs = zip(gradients, self.parameters, strict=True)
        return [gradient if gradient is None else _matched(gradient, parameter) for gradient, parameter in pairs]

    def tensors(self) -> list[Tensor]:
        """All tensors that a step changes, except the parameters."""
        return [tensor for slot in self.slots.values() for tensor in slot]

    def state_dict(self) -> dict[str, Any]:
        """The learning rate and the running averages; the tensors are not copied."""
        return {"learning_rate": self.learning_rate, **self.slots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy a state from `state_dict` into the optimiser's tensors."""
        self.learning_rate = state["learning_rate"]
        for name, slot in self.slots.items():
            for tensor, saved in zip(slot, state[name], strict=True):
                tensor.copy_(saved)

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(parameter, requires_grad=False) for parameter in self.parameters]


class SGD(Optimiser):
    """`torch.optim.SGD(fused=True)` with one group of parameters; momentum starts at zero."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov
        self.slots = {"momentum": self._zeros()}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """Update the parameters; if a gradient is None, its parameter and momentum do not change."""
        gradients = self._matched(gradients)
        moved = [index for index, gradient in enumerate(gradients) if gradient is not None]
        momenta: list[Tensor | None] = [self.slots["momentum"][index] if self.momentum else None for index in moved]
        sgd(
            [self.parameters[index] for index in moved],
            [gradient for gradient in gradients if gradient is not None],
            momenta,
            fused=True,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.rate,  # type: ignore[arg-type]  # torch takes a tensor here
            dampening=0.0,
            nesterov=self.nesterov,
            maximize=False,
        )


class Adam(Optimiser):
    """`torch.optim.Adam(fused=True)` with one group of parameters."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters, learning_rate)
        self.betas = betas
        self.slots = {"average": self._zeros(), "squared_average": self._zeros()}
        # one step count for each parameter, on its device, in the type that the fused kernels need
        self.slots["steps"] = [
            torch.zeros((), dtype=torch.float32, device=parameter.device) for parameter in self.parameters
        ]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update each parameter with its gradient."""
        adam(
            self.parameters,
            [gradient for gradient in self._matched(gradients) if gradient is not None],
            self.slots["average"],
            self.slots["squared_average"],
            [],
            self.slots["steps"],
            fused=True,
            lr=self.rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=EPSILON,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )


def _matched(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient, copied if its memory layout differs from the parameter's."""
    if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
        raise DropnasError(
            f"a gradient is {tuple(gradient.shape)} of {gradient.dtype}",
            remedy=f"its parameter is {tuple(parameter.shape)} of {parameter.dtype}",
        )
    if gradient.stride() == parameter.stride():
        return gradient
    sides = zip(parameter.shape, gradient.stride(), parameter.stride(), strict=True)
    if all(ours == theirs for count, ours, theirs in sides if count > 1):
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
