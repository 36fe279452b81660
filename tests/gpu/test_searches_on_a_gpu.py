"""Searches trained as one program on a GPU: the captured step against the eager one and against that of a CPU."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from benchmarks._launches import launches
from dropnas.data.arrays import ImageArrays
from dropnas.search.config import SearchConfig
from dropnas.search.together import SearchesTogether
from dropnas.space.spaces import ORIGINAL
from dropnas.training.seeding import generator

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
AGREEMENT = 1e-9  # of each tensor's largest magnitude
SEEDS, STEPS, CLASSES = (3, 5, 8), 20, 5
IMAGES, BATCH, SIDE = 31, 4, 8  # eight steps an epoch, the last one of three images
CONFIG = SearchConfig(  # both clips are active, decay is large, alphas move quickly, much is dropped
    cells=3,
    channels=2,
    batch_size=BATCH,
    epochs=3,
    gradient_clip=0.5,
    weight_decay=0.05,
    alpha_learning_rate=0.02,
    alpha_weight_decay=0.3,
    crop_padding=1,
    options={"rate_parameterised": 0.3**4, "rate_non_parameterised": 0.4**4},
)


@pytest.fixture(autouse=True)
def dtype_as_it_was() -> Iterator[None]:
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def images_of(dtype: torch.dtype, device: str) -> ImageArrays:
    pixels = torch.randint(256, (IMAGES, 1, SIDE, SIDE), generator=generator(0, "images"), dtype=torch.uint8)
    labels = torch.arange(IMAGES, device=device) % CLASSES
    mean, std = (torch.full((3,), value, dtype=dtype, device=device) for value in (0.5, 0.3))
    return ImageArrays(pixels.to(device), labels, CLASSES, mean, std)


def group(dtype: torch.dtype, device: str = "cuda", captured: bool = True) -> SearchesTogether:
    torch.set_default_dtype(dtype)
    configs = [replace(CONFIG, seed=seed) for seed in SEEDS]
    made = SearchesTogether(configs, ORIGINAL, images_of(dtype, device), device)
    if not captured:
        made.captured = {size: partial(made.program, size) for size in made.captured}  # type: ignore[misc]
    return made


def train(searches: SearchesTogether, first: int = 0, last: int = STEPS) -> None:
    """Steps `first` to `last`, counted over epochs."""
    for number in range(first, last):
        epoch, step = divmod(number, searches.steps_per_epoch)
        if not step:
            searches.start_epoch(epoch)
        searches.step(epoch, step)
        if step + 1 == searches.steps_per_epoch:
            searches.finish_epoch(epoch)


def assert_near(ours: SearchesTogether, theirs: SearchesTogether, tolerance: float) -> None:
    """All tensors of each search."""
    for one, other in zip(ours.state_dicts(), theirs.state_dicts(), strict=True):
        pairs = {**other.pop("supernet"), **other}
        for name, values in {**one.pop("supernet"), **one}.items():
            if isinstance(values, Tensor):
                right = pairs[name].double().cpu()
                limit = tolerance * max(float(right.abs().max()), 1.0 if "running_mean" in name else 0.0)
                assert float((values.double().cpu() - right).abs().max()) <= limit, name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, AGREEMENT), (torch.float32, 1e-3)])
def test_a_captured_step_is_the_eager_one(dtype: torch.dtype, tolerance: float) -> None:
    ours, theirs = group(dtype), group(dtype, captured=False)
    train(ours)
    train(theirs)
    assert_near(ours, theirs, tolerance)


def test_on_a_gpu_a_search_is_the_one_of_the_cpu() -> None:
    ours, theirs = group(torch.float64), group(torch.float64, "cpu")
    train(ours)
    train(theirs)
    assert_near(ours, theirs, AGREEMENT)


@pytest.mark.parametrize("stopped", [3, 8, 13])
def test_a_state_continues_on_a_gpu(stopped: int) -> None:
    straight, first, second = (group(torch.float64) for _ in range(3))
    train(straight)
    train(first, last=stopped)
    second.start_epoch(stopped // straight.steps_per_epoch)
    second.load_state_dicts(first.state_dicts())
    train(second, first=stopped)
    assert_near(second, straight, AGREEMENT)


def test_a_step_on_a_gpu_is_one_launch_and_waits_for_nothing() -> None:
    made = group(torch.float32)
    train(made, last=made.steps_per_epoch)  # both sizes are captured
    made.start_epoch(1)
    for step in (0, made.steps_per_epoch - 1):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = launches(partial(made.step, 1, step))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert found == {"kernel_launches": 0, "graph_launches": 1, "synchronisations": 0}


def test_a_single_search_is_a_program_on_a_gpu() -> None:
    pytest.importorskip("safetensors", reason="the stage writes its weights with it")
    from dropnas.search.stage import new_search
    from dropnas.search.together import SearchAlone

    assert isinstance(new_search(CONFIG, ORIGINAL, images_of(torch.float32, "cuda"), "cuda"), SearchAlone)
