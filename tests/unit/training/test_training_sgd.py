"""Our SGD beside torch's, and what it must not import."""

import subprocess
import sys

import pytest
import torch

from dropnas.training.sgd import SGD

TRAINS = """
import sys
import torch
from dropnas.evaluate import retrain, transfer
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.learner import Learner
from dropnas.training import determinism
determinism.apply(0, "cpu", 1)
learner = Learner(torch.nn.Linear(3, 2), RetrainConfig(), 2, "cpu")
learner.start_epoch(0.1)
learner.network(torch.ones(1, 3)).sum().backward()
learner.descend()
learner.load_state_dict(learner.state_dict())
print(sorted({"sklearn", "scipy", "pandas", "torchvision", "torch._dynamo", "sympy"} & set(sys.modules)))
"""


def parameters() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random).requires_grad_() for shape in ((5, 3), (4,), (2, 2, 2))]


class OneForEach:
    """torch's optimiser for each parameter by itself, since its fused form cannot start the momentum of some only."""

    def __init__(self, trained: list[torch.Tensor], momentum: float, decay: float) -> None:
        self.each = [
            torch.optim.SGD([parameter], lr=0.05, momentum=momentum, weight_decay=decay, fused=True)
            for parameter in trained
        ]

    def step(self) -> None:
        for one in self.each:
            one.step()


def descend(optimiser: SGD | OneForEach, trained: list[torch.Tensor], steps: range) -> None:
    """Gradients from the step's number; the second parameter gets its first one late."""
    for step in steps:
        random = torch.Generator().manual_seed(step)
        for index, parameter in enumerate(trained):
            parameter.grad = torch.randn(parameter.shape, generator=random) if index != 1 or step > 3 else None
        optimiser.step()


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 3e-4), (0.0, 0.1), (0.5, 0.0)])
def test_it_is_torchs_to_the_bit(momentum: float, decay: float) -> None:
    ours, theirs = parameters(), parameters()
    descend(SGD(ours, 0.05, momentum, decay), ours, range(10))
    descend(OneForEach(theirs, momentum, decay), theirs, range(10))
    assert all(torch.equal(left, right) for left, right in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], parameters()[0])


@pytest.mark.parametrize("saved_at", [2, 6])
def test_it_goes_on_from_its_state(saved_at: int) -> None:
    whole, parted = parameters(), parameters()
    descend(SGD(whole, 0.05, 0.9, 3e-4), whole, range(10))
    first = SGD(parted, 0.05, 0.9, 3e-4)
    descend(first, parted, range(saved_at))
    second = SGD(parted, 0.7, 0.9, 3e-4)
    second.load_state_dict(first.state_dict())
    descend(second, parted, range(saved_at, 10))
    assert all(torch.equal(left, right) for left, right in zip(whole, parted, strict=True))


def test_gradients_are_freed() -> None:
    trained = parameters()
    optimiser = SGD(trained, 0.05, 0.9, 3e-4)
    descend(optimiser, trained, range(1))
    optimiser.forget_gradients()
    assert all(parameter.grad is None for parameter in trained)


def test_training_needs_neither_the_compiler_nor_torchvision() -> None:
    """They take as long to import as torch."""
    done = subprocess.run([sys.executable, "-c", TRAINS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
