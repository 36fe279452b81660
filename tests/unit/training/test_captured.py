"""A static program, eager on a CPU, captured on a GPU: it does what calling it does, and warming up changes nothing."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dropnas.training.captured import Captured


class Descent:
    """A small training: a weight, its momentum, batches of one size, a counter that chooses them."""

    def __init__(self, device: str, batch: int) -> None:
        self.weight = torch.ones(4, 3, device=device, requires_grad=True)
        self.momentum = torch.zeros(4, 3, device=device)
        self.counter = torch.zeros((), dtype=torch.int64, device=device)
        self.data = torch.arange(10.0 * batch * 4, device=device).reshape(10, batch, 4).sin()
        self.losses = torch.zeros(10, device=device)
        self.numbers = torch.arange(10, device=device)
        self.moving = [self.weight, self.momentum, self.counter, self.losses]

    def program(self) -> None:
        images = self.data.index_select(0, self.counter[None])[0]
        loss = (images @ self.weight).square().mean()
        (gradient,) = torch.autograd.grad(loss, [self.weight])
        with torch.no_grad():
            self.momentum.mul_(0.9).add_(gradient)
            self.weight.sub_(self.momentum, alpha=0.1)
            self.losses.copy_(torch.where(self.numbers == self.counter, loss, self.losses))
            self.counter.add_(1)


def trained(device: str, captured: bool, steps: int = 5) -> list[Tensor]:
    descent = Descent(device, 2)
    step = Captured(descent.program, descent.moving, device) if captured else descent.program
    for _ in range(steps):
        step()
    return descent.moving


def test_on_a_cpu_it_is_the_program_itself() -> None:
    ours, theirs = trained("cpu", True), trained("cpu", False)
    assert all(map(torch.equal, ours, theirs))
    assert theirs[2] == 5 and theirs[3][4] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_program_does_what_the_eager_one_does() -> None:
    ours, theirs = trained("cuda", True), trained("cuda", False)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_preparing_gets_the_program_first_and_changes_nothing() -> None:
    plain, prepared, told = Descent("cuda", 4), Descent("cuda", 4), list[object]()

    def spoil(program: Callable[[], None]) -> None:
        told.append(program)
        program()
        prepared.momentum.fill_(1000)

    for descent, prepare in ((plain, None), (prepared, spoil)):
        step = Captured(descent.program, descent.moving, "cuda", prepare=prepare)
        step()
        step()
    assert told == [prepared.program]
    assert all(map(torch.equal, plain.moving, prepared.moving))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_programs_share_memory_and_take_what_is_copied_into_their_tensors() -> None:
    whole, rest = Descent("cuda", 6), Descent("cuda", 3)
    steps = [Captured(whole.program, whole.moving, "cuda")]
    steps.append(Captured(rest.program, rest.moving, "cuda", beside=steps[0]))
    start = [tensor.detach().clone() for tensor in (*whole.moving, *rest.moving)]
    found = []
    for _ in range(2):
        for step in (*steps, *steps):
            step()
        found.append([tensor.detach().clone() for tensor in (*whole.moving, *rest.moving)])
        with torch.no_grad():
            for tensor, old in zip((*whole.moving, *rest.moving), start, strict=True):
                tensor.copy_(old)
    assert all(map(torch.equal, *found)) and found[0][2] == 2
