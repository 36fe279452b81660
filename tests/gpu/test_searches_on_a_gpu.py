"""Groups of searches on a GPU: the recorded step against the eager step and against the step on a CPU."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch

from benchmarks._launches import launches
from dropnas.search.seed_group import SeedGroup
from dropnas.space.spaces import ORIGINAL
from dropnas.training.graphs import recorder_for
from tests.unit.search.groups import CONFIG, OFTEN, assert_near, group_of, train, values

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICE, SEEDS, STEPS = "cuda", (3, 5, 8), 10


@pytest.fixture(autouse=True)
def dtype_as_it_was() -> Iterator[None]:
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def group(dtype: torch.dtype, device: str = DEVICE, recorded: bool = True) -> SeedGroup:
    """A group with eight steps per epoch, the last one of three images."""
    torch.set_default_dtype(dtype)
    config = replace(CONFIG, options=OFTEN, learning_rate=2**-5, learning_rate_min=2**-5)  # exact in single precision
    recorder = recorder_for(device) if recorded else None
    return group_of(config, SEEDS, ORIGINAL, images=31, recorder=recorder, device=device)


def assert_alike(ours: SeedGroup, theirs: SeedGroup, tolerance: float) -> None:
    for index in range(len(SEEDS)):
        assert_near(values(ours, index), values(theirs, index), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 1e-3)])
def test_a_recorded_step_is_the_eager_one(dtype: torch.dtype, tolerance: float) -> None:
    ours, theirs = group(dtype), group(dtype, recorded=False)
    train(ours, last=STEPS)
    train(theirs, last=STEPS)
    assert_alike(ours, theirs, tolerance)


def test_on_a_gpu_a_search_is_the_one_of_the_cpu() -> None:
    ours, theirs = group(torch.float64), group(torch.float64, "cpu")
    train(ours, last=STEPS)
    train(theirs, last=STEPS)
    assert_alike(ours, theirs, 1e-7)


@pytest.mark.parametrize("stopped", [3, 8])
def test_a_state_continues_on_a_gpu(stopped: int) -> None:
    straight, first, second = (group(torch.float64) for _ in range(3))
    train(straight, last=STEPS)
    train(first, last=stopped)
    second.start_epoch(stopped // straight.steps_per_epoch)
    second.load_state_dicts(first.state_dicts())
    train(second, first=stopped, last=STEPS)
    assert_alike(second, straight, 1e-9)


def test_a_step_on_a_gpu_is_one_launch_and_waits_for_nothing() -> None:
    made = group(torch.float32)
    train(made, last=made.steps_per_epoch)
    made.start_epoch(1)
    for step in (0, made.steps_per_epoch - 1):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = launches(partial(made.step, 1, step))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert found == {"kernel_launches": 0, "graph_launches": 1, "synchronisations": 0}
