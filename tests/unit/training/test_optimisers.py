"""SGD and Adam, compared with torch's optimiser classes to the bit; and what a training must not import."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training.optimisers import SGD, Adam, Optimiser

BETAS = (0.5, 0.999)
STEPS = """
import sys
import torch
from dropnas.data.arrays import ImageArrays
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.retrain import Retraining
from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.space.published import load_genotype
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism
determinism.apply(0, "cpu", 1)
noise = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
images = ImageArrays(noise, torch.arange(4), 4, torch.zeros(3), torch.ones(3))
configs = [SearchConfig(cells=1, channels=1, strategy=name) for name in ("dropnas", "darts-first-order")]
trainees = [SeedGroup([config], ORIGINAL, images, "cpu") for config in configs]
small = RetrainConfig(cells=3, channels=2, batch_size=4, crop_padding=1)
trainees.append(Retraining(small, load_genotype("dropnas_c10"), images, images, "cpu"))
for trainee in trainees:
    trainee.start_epoch(0)
    trainee.step(0, 0)
    trainee.load_state_dicts(trainee.state_dicts())
print(sorted({"sklearn", "scipy", "pandas", "torchvision", "torch._dynamo", "sympy"} & set(sys.modules)))
"""


def parameters(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=dtype) for shape in ((5, 3), (4,), (2, 2, 2))]


def gradients_of(trained: list[Tensor], step: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(step)
    return [torch.randn(each.shape, generator=random, dtype=each.dtype) for each in trained]


def descend(optimiser: Any, trained: list[Tensor], steps: range, leaving_out: bool) -> None:
    """Take steps with gradients that depend on the step's number; the second parameter may lack some of them."""
    for step in steps:
        found: list[Tensor | None] = [*gradients_of(trained, step)]
        if leaving_out and step % 3 != 2:
            found[1] = None
        if isinstance(optimiser, Optimiser):
            optimiser.learning_rate = 0.1 / (step + 1)
            optimiser.step(found)  # type: ignore[attr-defined]
        else:
            optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
            for parameter, gradient in zip(trained, found, strict=True):
                parameter.grad = gradient
            optimiser.step()


def made(name: str, trained: list[Tensor], momentum: float, decay: float) -> SGD | Adam:
    nesterov = name == "nesterov"
    return Adam(trained, 0.05, BETAS) if name == "adam" else SGD(trained, 0.05, momentum, decay, nesterov)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "momentum", "decay"),
    [("sgd", 0.9, 0.01), ("sgd", 0.0, 0.0), ("nesterov", 0.9, 0.01), ("adam", 0.0, 0.0)],
)
def test_they_are_torchs_to_the_bit(name: str, momentum: float, decay: float, dtype: torch.dtype) -> None:
    left, right = parameters(dtype), parameters(dtype)
    known: torch.optim.Optimizer = torch.optim.Adam(right, lr=0.05, betas=BETAS, fused=True)
    if name != "adam":
        nesterov = name == "nesterov"
        known = torch.optim.SGD(right, lr=0.05, momentum=momentum, weight_decay=decay, nesterov=nesterov, fused=True)
        for parameter in right if momentum else []:
            known.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    descend(made(name, left, momentum, decay), left, range(10), leaving_out=name != "adam")
    descend(known, right, range(10), leaving_out=name != "adam")
    assert all(map(torch.equal, left, right))


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("saved_at", [1, 6])
def test_they_go_on_from_their_state(name: str, saved_at: int) -> None:
    whole, parted = parameters(), parameters()
    descend(made(name, whole, 0.9, 0.01), whole, range(10), False)
    first, second = made(name, parted, 0.9, 0.01), made(name, parted, 0.9, 0.01)
    descend(first, parted, range(saved_at), False)
    state = first.state_dict()
    addresses = [tensor.data_ptr() for tensor in second.tensors()]
    second.load_state_dict(state)
    descend(second, parted, range(saved_at, 10), False)
    assert all(map(torch.equal, whole, parted)) and second.learning_rate == 0.01
    assert addresses == [tensor.data_ptr() for tensor in second.tensors()]


def test_everything_that_a_step_changes_is_among_the_tensors() -> None:
    for name in ("sgd", "adam"):
        trained = parameters()
        optimiser = made(name, trained, 0.9, 0.0)
        before = [tensor.clone() for tensor in optimiser.tensors()]
        descend(optimiser, trained, range(1), False)
        assert not any(map(torch.equal, before, optimiser.tensors()))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_gradient_in_another_memory_layout_is_the_same_gradient(name: str) -> None:
    """The fused kernels only look at memory."""
    found = []
    for change in (lambda g: g, lambda g: g.t().contiguous().t(), lambda g: g[:1].expand(5, 3)):
        trained = parameters()[:1]
        gradient = gradients_of(trained, 0)[0][:1].expand(5, 3).contiguous()
        made(name, trained, 0.9, 0.0).step([change(gradient)])
        found.append(trained[0])
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_gradients_that_do_not_fit_are_refused(name: str) -> None:
    trained = parameters()
    optimiser, gradients = made(name, trained, 0.9, 0.0), gradients_of(trained, 0)
    for wrong, message in (
        ([], "0 gradients for 3 parameters"),
        ([gradients[0][:1], *gradients[1:]], r"a gradient is \(1, 3\) of torch.float32; its parameter is \(5, 3\) of"),
        ([gradients[0].double(), *gradients[1:]], r"torch.float64"),
    ):
        with pytest.raises(DropnasError, match=message):
            optimiser.step(wrong)


def test_no_training_imports_the_compiler() -> None:
    found = subprocess.run([sys.executable, "-c", STEPS], text=True, capture_output=True, check=True)
    assert found.stdout == "[]\n"
