"""The optimisers of a search beside torch's, to the bit, and what a search must not import."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from dropnas.search.optimisers import SGD, Adam

SEARCHES = """
import sys
import torch
from dropnas.data.arrays import ImageArrays
from dropnas.search.config import SearchConfig
from dropnas.search.stage import Search
from dropnas.search.together import SearchesTogether, is_static
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism
determinism.apply(0, "cpu", 1)
noise = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
images = ImageArrays(noise, torch.arange(4), 4, torch.zeros(3), torch.ones(3))
search = Search(SearchConfig(cells=1, channels=1, strategy={strategy!r}), ORIGINAL, images, "cpu")
search.start_epoch(0)
search.step(0, 0)
search.load_state_dict(search.state_dict())
company = SearchesTogether([search.config], ORIGINAL, images, "cpu") if is_static(search.config, ORIGINAL) else search
company.start_epoch(0)
company.step(0, 0)
print(sorted({{"sklearn", "scipy", "pandas", "torchvision", "torch._dynamo", "sympy"}} & set(sys.modules)))
"""
BETAS = (0.5, 0.999)


def parameters() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random).requires_grad_() for shape in ((5, 3), (4,), (2, 2, 2))]


def descend(optimiser: Any, steps: range) -> None:
    """Gradients from the step's number; the second parameter has one only now and then."""
    for step in steps:
        optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
        random = torch.Generator().manual_seed(step)
        optimiser.zero_grad()
        for index, parameter in enumerate(optimiser.param_groups[0]["params"]):
            gradient = torch.randn(parameter.shape, generator=random)
            parameter.grad = gradient if index != 1 or step % 3 == 2 else None
        optimiser.step()


def ours(name: str, trained: list[torch.Tensor], momentum: float = 0.9) -> SGD | Adam:
    return SGD(trained, 0.05, momentum) if name == "sgd" else Adam(trained, 0.05, BETAS)


def theirs(name: str, trained: list[torch.Tensor], momentum: float = 0.9) -> torch.optim.Optimizer:
    if name == "sgd":
        return torch.optim.SGD(trained, lr=0.05, momentum=momentum, fused=True)
    return torch.optim.Adam(trained, lr=0.05, betas=BETAS)


@pytest.mark.parametrize(("name", "momentum"), [("sgd", 0.9), ("sgd", 0.0), ("adam", 0.0)])
def test_they_are_torchs_to_the_bit(name: str, momentum: float) -> None:
    left, right = parameters(), parameters()
    own, known = ours(name, left, momentum), theirs(name, right, momentum)
    for parameter in right if momentum else []:
        known.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    descend(own, range(10))
    descend(known, range(10))
    for mine, other in zip(left, right, strict=True):
        assert torch.equal(mine, other)
        for key, value in known.state[other].items():
            assert (value is None and key not in own.state[mine]) or torch.equal(own.state[mine][key], value), key


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("saved_at", [1, 6])
def test_they_go_on_from_their_state(name: str, saved_at: int) -> None:
    whole, parted = parameters(), parameters()
    descend(ours(name, whole), range(10))
    first, second = ours(name, parted), ours(name, parted)
    descend(first, range(saved_at))
    state = first.state_dict()
    second.load_state_dict(state)
    kept = [{key: value.clone() for key, value in values.items()} for values in state["state"]]
    descend(second, range(saved_at, 10))
    assert all(map(torch.equal, whole, parted))
    for before, after in zip(kept, state["state"], strict=True):  # the state is not shared
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_gradients_are_freed_or_zero() -> None:
    (first, *_), optimiser = (trained := parameters()), SGD(trained, 0.1, 0.9)
    first.grad = torch.ones_like(first)
    optimiser.zero_grad(set_to_none=False)
    assert first.grad is not None and not first.grad.any() and trained[1].grad is None
    optimiser.zero_grad()
    assert first.grad is None


@pytest.mark.parametrize("strategy", ["dropnas", "darts-first-order"])
def test_a_search_imports_no_compiler(strategy: str) -> None:
    program = SEARCHES.format(strategy=strategy)
    found = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, check=True)
    assert found.stdout == "[]\n"
