"""The search stage: its files, equal bytes for equal seeds, and that an interruption changes nothing."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dropnas.data import arrays
from dropnas.errors import DropnasError
from dropnas.search import stage
from dropnas.search.config import SearchConfig
from dropnas.search.seed_group import SeedGroup
from dropnas.space.spaces import find_space
from dropnas.training import determinism
from dropnas.training.loop import train
from dropnas.workspace import Workspace

CONFIG = SearchConfig(cells=3, channels=2, epochs=2, batch_size=8, crop_padding=1, alpha_learning_rate=0.01, seed=3)


def search(config: SearchConfig, dataset: Path, folder: Path) -> dict[str, bytes]:
    out = folder / "out"
    out.mkdir(parents=True)
    statistics = stage.run(config, [dataset], out, Workspace(folder / "scratch", "identity"))
    assert statistics["images_per_second"] > 0
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def found(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return search(CONFIG, dataset, tmp_path_factory.mktemp("search"))


def test_the_files_of_the_contract_are_written(found: dict[str, bytes]) -> None:
    assert set(found) == {"alphas.json", "history.json", "metrics.csv", "result.json", "supernet.safetensors"}
    alphas, history = json.loads(found["alphas.json"]), json.loads(found["history.json"])
    assert alphas["operations"] == history["operations"] == list(find_space("original").operations)
    assert [epoch["epoch"] for epoch in history["epochs"]] == [0, 1, 2]
    for kind in ("normal", "reduce"):
        assert np.array(alphas[kind]).shape == (14, 8)
        assert history["epochs"][-1][kind] == alphas[kind] != history["epochs"][0][kind]


def test_result_and_metrics_describe_the_search(found: dict[str, bytes]) -> None:
    result, history = json.loads(found["result.json"]), json.loads(found["history.json"])
    start = [value for kind in ("normal", "reduce") for row in history["epochs"][0][kind] for value in row]
    assert result["alpha_spread_start"] == pytest.approx(np.std(start), rel=1e-6)
    assert result["alpha_spread_end"] > 3 * result["alpha_spread_start"]
    assert result["epochs"] == 2 and 0 <= result["train_accuracy"] <= 100
    rows = list(csv.DictReader(found["metrics.csv"].decode().splitlines()))
    assert list(rows[0])[:4] == ["epoch", "train_loss", "train_accuracy", "learning_rate"]
    assert [float(row["learning_rate"]) for row in rows] == [0.0375, pytest.approx((0.0375 + 0.0015) / 2)]
    assert float(rows[-1]["train_loss"]) == result["train_loss"]


def test_the_saved_weights_are_the_supernets(found: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "supernet.safetensors").write_bytes(found["supernet.safetensors"])
    weights = load_file(tmp_path / "supernet.safetensors")
    trained = sum(value.numel() for name, value in weights.items() if "running" not in name and "num_" not in name)
    assert trained == json.loads(found["result.json"])["parameters"]


def test_equal_seeds_give_equal_bytes_and_others_do_not(found: dict[str, bytes], dataset: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # simulates an earlier computation
    torch.rand(7)
    assert search(CONFIG, dataset, tmp_path / "again") == found
    other = search(SearchConfig(**(vars(CONFIG) | {"seed": 4})), dataset, tmp_path / "other")
    assert all(other[name] != found[name] for name in found)


class KilledError(Exception):
    """Simulates the end of a process."""


class Mortal(SeedGroup):
    """A search that dies before its `lifetime`-th step."""

    lifetime = 0

    def step(self, epoch: int, step: int) -> Tensor:
        if not self.lifetime:
            raise KilledError
        self.lifetime -= 1
        return super().step(epoch, step)


KILLED = [
    {},
    {"options": {"masks": "per-cell", "dropped": "frozen"}},
    {"strategy": "darts-second-order"},
    {"strategy": "asap"},
    {"strategy": "xnas"},
]


@pytest.mark.parametrize("changes", KILLED)
def test_a_search_killed_inside_an_epoch_ends_the_same(
    found: dict[str, bytes], dataset: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = SearchConfig(**(vars(CONFIG) | changes))
    straight = search(config, dataset, tmp_path / "straight") if changes else found
    folder = tmp_path / "killed"
    scratch = Workspace(folder / "scratch", "identity", checkpoint_seconds=0)
    for lifetime in (1, 2):  # in the first epoch, in the second
        determinism.apply(config.seed, "cpu", 1)
        mortal = Mortal([config], find_space(config.space), arrays.load(dataset, "train"), "cpu")
        mortal.lifetime = lifetime
        with pytest.raises(KilledError):
            train(mortal, config.epochs, [scratch])
    assert list(scratch.scratch.iterdir())
    assert search(config, dataset, folder) == straight


def test_a_loss_that_is_not_finite_ends_the_search(dataset: Path, tmp_path: Path) -> None:
    config = SearchConfig(**(vars(CONFIG) | {"learning_rate": 1e30, "gradient_clip": 1e30}))
    with pytest.raises(DropnasError, match="not finite"):
        search(config, dataset, tmp_path)


def test_an_unknown_space_is_named(dataset: Path, tmp_path: Path) -> None:
    config = SearchConfig(**(vars(CONFIG) | {"space": "4-skip"}))
    with pytest.raises(DropnasError, match="4-skip"):
        search(config, dataset, tmp_path)
