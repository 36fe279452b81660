"""The functions behind the GPU measurements, as far as they can be tested without a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from benchmarks import _searches, _workloads, micro
from benchmarks._graph import REPEATS, REPLAYS, WARM_UP, microseconds
from benchmarks._instructions import TRIPS
from benchmarks._pieces import attempted
from benchmarks._profile import LARGEST, by_kernel


class FakeGPU:
    """Replaces `torch.cuda`: a graph records captured calls; each replayed call takes a millisecond."""

    def __init__(self) -> None:
        self.eager, self.milliseconds, self.replays = 0, 0.0, 0
        self.capturing: FakeGraph | None = None

    def work(self) -> None:
        if self.capturing is None:
            self.eager += 1
        else:
            self.capturing.calls += 1

    @contextmanager
    def graph(self, graph: "FakeGraph") -> Iterator[None]:
        self.capturing = graph
        yield
        self.capturing = None

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name, fake in {
            "Stream": FakeStream,
            "current_stream": FakeStream,
            "stream": lambda _: nullcontext(),
            "CUDAGraph": lambda: FakeGraph(self),
            "graph": self.graph,
            "Event": lambda **_: FakeEvent(self),
        }.items():
            patch.setattr(torch.cuda, name, fake)


class FakeStream:
    def wait_stream(self, _: "FakeStream") -> None:
        """There is no concurrency here."""


class FakeGraph:
    def __init__(self, gpu: FakeGPU) -> None:
        self.gpu, self.calls = gpu, 0

    def replay(self) -> None:
        self.gpu.replays += 1
        self.gpu.milliseconds += self.calls


class FakeEvent:
    def __init__(self, gpu: FakeGPU) -> None:
        self.gpu, self.at = gpu, 0.0

    def record(self) -> None:
        self.at = self.gpu.milliseconds

    def synchronize(self) -> None:
        """The work is already finished."""

    def elapsed_time(self, other: "FakeEvent") -> float:
        return other.at - self.at


@pytest.mark.parametrize("repeats", [REPEATS, 7000])
def test_small_work_is_timed_in_replays_of_a_graph(repeats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGPU()
    gpu.install(monkeypatch)
    assert microseconds(gpu.work, "cuda", repeats) == 1000
    assert gpu.eager == WARM_UP and gpu.replays == 1 + REPLAYS


def test_a_piece_that_fails_says_why_in_a_line() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`")

    assert attempted(fail) == {"failed": "RuntimeError: CUDA error: device-side assert triggered"}
    assert attempted(lambda: 3) == 3


def test_the_triton_kernels_of_a_program_are_found_and_can_be_launched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading maps plainly and through a batch norm counts as two kernels."""
    pytest.importorskip("triton")
    from triton.runtime.jit import JITFunction

    launched = list[str]()

    def note(kernel: Any, *_: Any, grid: Any, warmup: bool, **__: Any) -> None:
        launched.append(kernel.__name__)

    monkeypatch.setattr(JITFunction, "run", note)
    found: dict[str, Callable[[], object]] = micro.launched_by(
        _workloads.triton_kernels(16, 4, 2, "cpu", torch.bfloat16)
    )
    both_ways = {"convolve", "back_to_dense", "back_to_maps"}  # the maps of a state, or maps that are normalised first
    assert {*found} == {*TRIPS} | {f"{name}, normalised" for name in both_ways}
    assert {*launched} == {*TRIPS}
    launched.clear()
    found["back_to_dense, normalised"]()
    assert launched == ["back_to_dense"]


def test_a_profile_names_what_takes_most() -> None:
    square = torch.ones(200, 200)
    found = by_kernel(lambda: (square @ square).sum(), "cpu")
    assert found["kernels"] >= 2 and len(found["largest"]) <= LARGEST
    assert "aten::mm" in {each["kernel"] for each in found["largest"]}
    times = [each["milliseconds"] for each in found["largest"]]
    assert times == sorted(times, reverse=True)


class FakeSearches:
    """Searches on a clock of their own: creating them takes 3 seconds, and a step takes 2."""

    def __init__(self) -> None:
        self.now = 3.0

    def start_epoch(self, epoch: int) -> None:
        pass

    def step(self, epoch: int, step: int) -> None:
        self.now += 2.0


def test_the_time_to_the_first_step_contains_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other searches, which take 100 seconds here, may be created between the creation and the first step."""
    made = list[FakeSearches]()

    def create(*_: object) -> FakeSearches:
        made.append(FakeSearches())
        return made[-1]

    monkeypatch.setattr(_workloads, "search_group", create)
    monkeypatch.setattr(_searches.time, "perf_counter", lambda: sum(one.now for one in made))
    searches = _searches.Trained(_searches.Size(2, 2, 2, 8, 1, 1), "single", "cpu")
    made[-1].now += 100.0
    assert searches.started() == 5.0
