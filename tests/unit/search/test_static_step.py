"""The search's step as a program for a GPU, on a device that knows only shapes, so that no value can be read."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from benchmarks.kernels import counted, search_on_meta
from dropnas.search.config import PRESETS, SearchConfig
from dropnas.space.spaces import SPACES, SearchSpace
from dropnas.training import determinism

pytest.importorskip("triton")
SMALL = SearchConfig(cells=3, channels=4, batch_size=8)
OFTEN = {"masks": "per-cell", "dropped": "frozen", "decay": "l2"}


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """As on a GPU; the setting is process-wide."""
    determinism.apply(0, "cuda", 1)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("strategy", "kernels"), [*((name, "triton") for name in sorted(PRESETS)), ("dropnas", "torch")]
)
def test_a_step_reads_no_value_and_stays_on_its_device(strategy: str, kernels: str) -> None:
    config = replace(SMALL, strategy=strategy, kernels=kernels)  # type: ignore[arg-type]
    step = search_on_meta(config, SPACES["original"], 1)
    assert counted(lambda: step(8), 8)["kernels"] > 500


@pytest.mark.parametrize("name", ["1-skip", "3-skip"])
def test_other_spaces_options_and_a_smaller_batch(name: str) -> None:
    step = search_on_meta(replace(SMALL, options=OFTEN), SPACES[name], 2)
    assert counted(lambda: step(5), 5)["kernels"] > 500


def test_an_operation_that_a_space_has_twice() -> None:
    space = SearchSpace("twice", ("sep_conv_3x3", "sep_conv_3x3", "dil_conv_3x3"), ("none", "skip_connect"))
    step = search_on_meta(SMALL, space, 2)
    assert counted(lambda: step(8), 8)["kernels"] > 500
