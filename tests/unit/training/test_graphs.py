"""Programs recorded once and replayed: the order of events, and what a recording freezes or rejects."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.training.graphs import WARM_UPS, GraphedPrograms, Recorder, recorder_for
from dropnas.training.rehearsal import Rehearsal

STEPS = 10
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


class Descent:
    """A small training: a weight, its momentum, a counter that chooses batches, losses by step."""

    def __init__(self, device: str) -> None:
        self.weight = torch.ones(4, 3, device=device, requires_grad=True)
        self.momentum = torch.zeros(4, 3, device=device)
        self.counter = torch.zeros((), dtype=torch.int64, device=device)
        self.data = torch.arange(4.0 * 6 * STEPS, device=device).reshape(STEPS, 6, 4).sin()
        self.losses = torch.zeros(STEPS, device=device)
        self.numbers = torch.arange(STEPS, device=device)
        self.runs: list[int] = []

    @property
    def changed(self) -> list[Tensor]:
        return [self.weight, self.momentum, self.counter, self.losses]

    def program(self, size: int) -> None:
        self.runs.append(size)
        images = self.data.index_select(0, self.counter[None])[0, :size]
        loss = (images @ self.weight).square().mean()
        (gradient,) = torch.autograd.grad(loss, [self.weight])
        with torch.no_grad():
            self.momentum.mul_(0.9).add_(gradient)
            self.weight.sub_(self.momentum, alpha=0.1)
            self.losses.copy_(torch.where(self.numbers == self.counter, loss, self.losses))
            self.counter.add_(1)


def recorder_of(device: str) -> Recorder:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return recorder_for(device) or Rehearsal()


def graphed(descent: Descent, recorder: Recorder | None, precompile: Any = None) -> GraphedPrograms:
    programs: dict[Any, Callable[[], None]] = {size: partial(descent.program, size) for size in (6, 3)}
    return GraphedPrograms(programs, descent.changed, recorder, precompile)


def run(programs: GraphedPrograms, steps: int) -> None:
    for step in range(steps):
        programs.run(3 if step % 3 == 2 else 6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, STEPS])
def test_a_recorded_training_is_the_plain_one(device: str, steps: int) -> None:
    """Also if fewer steps are left than a warm-up makes: it must not run past the data."""
    recorder = recorder_of(device)
    ours, theirs = Descent(device), Descent(device)
    for descent in (ours, theirs):
        descent.counter.fill_(STEPS - steps)
    run(graphed(ours, recorder), steps)
    run(graphed(theirs, None), steps)
    for one, other in zip(ours.changed, theirs.changed, strict=True):
        torch.testing.assert_close(one, other, rtol=0 if device == "cpu" else 1e-5, atol=0 if device == "cpu" else 1e-6)
    assert ours.counter == STEPS


class Listed(Rehearsal):
    """Records the events of recording."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def record(self, program: Callable[[], None]) -> Callable[[], None]:
        self.events.append("record")
        return super().record(program)


def test_all_programs_are_warmed_up_before_any_is_recorded_and_each_run_is_undone() -> None:
    events: list[str] = []
    descent = Descent("cpu")

    def precompile(program: Callable[[], None]) -> None:
        events.append("precompile")
        program()
        descent.momentum.fill_(1000)

    programs = graphed(descent, Listed(events), precompile)
    descent.counter.fill_(STEPS - 1)
    programs.run(3)
    assert events == ["precompile", "precompile", "record", "record"]
    assert descent.runs == [6] * (2 + WARM_UPS - 1) + [3] * (2 + WARM_UPS - 1) + [6, 3]
    plain = Descent("cpu")
    plain.counter.fill_(STEPS - 1)
    plain.program(3)
    assert all(map(torch.equal, descent.changed, plain.changed))


def test_a_replay_runs_no_python() -> None:
    descent = Descent("cpu")
    programs = graphed(descent, Rehearsal())
    programs.run(6)
    before = len(descent.runs)
    programs.run(6)
    assert len(descent.runs) == before and descent.counter == 2


@pytest.mark.parametrize("device", DEVICES)
def test_a_checkpoint_copied_into_the_tensors_is_seen(device: str) -> None:
    recorder = recorder_of(device)
    descent, plain = Descent(device), Descent(device)
    programs = graphed(descent, recorder)
    run(programs, 4)
    with torch.no_grad():
        for tensor, start in zip(descent.changed, plain.changed, strict=True):
            tensor.copy_(start)
    programs.run(6)
    plain.program(6)
    for one, other in zip(descent.changed, plain.changed, strict=True):
        torch.testing.assert_close(one, other)


def test_a_number_that_python_holds_is_frozen() -> None:
    rate, total = [1.0], torch.zeros(())
    programs = GraphedPrograms({0: lambda: total.add_(rate[0])}, [total], Rehearsal())
    programs.run(0)
    rate[0] = 10.0
    programs.run(0)
    assert total == 2


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (lambda values: values.add_(values.sum().item()), "_local_scalar_dense reads a value back"),
        (lambda values: values.add_(len(values.nonzero())), "nonzero reads a value back"),
        (lambda values: values.add_(torch.rand(3)), "rand draws random numbers"),
    ],
)
def test_what_cannot_be_recorded_is_one_clear_line(program: Callable[[Tensor], Any], reason: str) -> None:
    values = torch.ones(3)
    programs = GraphedPrograms({0: lambda: program(values)}, [values], Rehearsal())
    with pytest.raises(DropnasError, match=f"cannot be recorded as a CUDA graph: {reason}") as raised:
        programs.run(0)
    assert "\n" not in str(raised.value)
    assert values.tolist() == [1, 1, 1]


def test_running_statistics_that_a_schema_does_not_name_are_undone() -> None:
    norm = torch.nn.BatchNorm2d(2)
    images = torch.arange(16.0).view(2, 2, 2, 2)
    programs = GraphedPrograms({0: lambda: norm(images)}, list(norm.buffers()), Rehearsal())
    programs.run(0)
    assert norm.num_batches_tracked == 1
    assert norm.running_mean is not None and norm.running_mean.tolist() == pytest.approx([0.55, 0.95])


def test_on_a_cpu_nothing_is_recorded() -> None:
    assert recorder_for("cpu") is None
