"""Runs that can train together: each is published once, whatever happens to the others."""

import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.config import Machine
from dropnas.data.config import DatasetConfig
from dropnas.pipeline import execute as module
from dropnas.pipeline.execute import execute
from dropnas.pipeline.specs import Spec, spec
from dropnas.pipeline.stages import code_of
from dropnas.runs.identity import Run
from dropnas.runs.lease import lease
from dropnas.runs.store import Store
from dropnas.search.config import SearchConfig

DATA = DatasetConfig(name="digits", source="bundled", train_images=48, test_images=20)
SEARCH = SearchConfig(
    cells=2, channels=2, epochs=2, batch_size=16, crop_padding=1, flip=False, space="1-skip", group_seeds=True
)
MACHINE = Machine(device="cpu")
FORK = multiprocessing.get_context("fork")
SEEDS = 3


def run_of(config: SearchConfig) -> Run:
    data = Run("data", "digits", DATA, (), code_of("data", DATA))
    return Run("search", f"digits-seed{config.seed}", config, (data,), code_of("search", config))


def specs(seeds: int = SEEDS, machine: Machine = MACHINE, **settings: Any) -> list[Spec]:
    runs = [run_of(replace(SEARCH, seed=seed, **settings)) for seed in range(seeds)]
    return [spec(run, "test", machine) for run in runs]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    data = run_of(SEARCH).inputs[0]
    assert execute([spec(data, "test", MACHINE)], root, print) == 0
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared / "data", tmp_path / "data")
    return tmp_path


@pytest.fixture(scope="module")
def together(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed group of seeds."""
    root = tmp_path_factory.mktemp("together")
    shutil.copytree(prepared / "data", root / "data")
    assert execute(specs(), root, print) == 0
    return root


def files(root: Path, one: Spec) -> dict[str, bytes]:
    folder = root / one.folder
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("run.json", "manifest.json")}


def record(root: Path, one: Spec) -> dict[str, Any]:
    found: dict[str, Any] = ManifestFile.read(root / one.folder).run
    return found


def test_each_run_of_a_group_is_published_with_its_share_of_the_time(together: Path) -> None:
    records = [record(together, one) for one in specs()]
    assert [found["id"] for found in records] == [one.id for one in specs()]
    assert all(found["identity"]["numerics"] == "fp32, grouped seeds" for found in records)
    assert all(found["statistics"]["group"] == SEEDS for found in records)
    assert len({found["seconds"] for found in records}) == 1
    assert not list(together.glob("scratch/*"))
    assert len({files(together, one)["alphas.json"] for one in specs()}) == SEEDS


def test_a_repeat_trains_only_the_missing_one(root: Path, together: Path) -> None:
    shutil.copytree(together / "runs", root / "runs")
    missing = specs()[1]
    shutil.rmtree(root / missing.folder)
    lines: list[str] = []
    assert execute(specs(), root, lines.append) == 0
    assert Counter(line.rpartition(": ")[2] for line in lines if line.startswith("runs/")) == {
        "finished before": 2,
        "published": 1,
    }
    assert not [line for line in lines if "epoch 1/2" in line and missing.name not in line]
    assert record(root, missing)["statistics"]["group"] == 1


def test_a_run_of_another_process_is_left_to_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are trained first; this run is computed after its lease is released."""
    busy, *others = specs()
    held = lease(Store(root).scratch(busy.id))
    held.__enter__()

    def wait(seconds: float) -> None:
        assert all(Store(root).is_published(root / one.folder) for one in others)
        held.__exit__(None, None, None)

    monkeypatch.setattr(module.time, "sleep", wait)
    assert execute(specs(), root, print) == 0
    assert [record(root, one)["statistics"]["group"] for one in specs()] == [1, 2, 2]


def in_a_process(work: Any) -> Any:
    process = FORK.Process(target=work)
    process.start()
    return process


def test_two_processes_on_overlapping_groups_publish_each_run_once(root: Path) -> None:
    def head(part: slice) -> None:
        with (root / f"{part.start}.log").open("w") as log:
            module.OTHERS_CHECK_SECONDS = 0.05
            os._exit(execute(specs(5)[part], root, lambda line: print(line, file=log, flush=True)))

    heads = [in_a_process(lambda part=part: head(part)) for part in (slice(0, 4), slice(1, 5))]
    for process in heads:
        process.join()
        assert process.exitcode == 0
    lines = "".join((root / f"{start}.log").read_text() for start in (0, 1)).splitlines()
    published = Counter(line.partition(":")[0] for line in lines if line.endswith(": published"))
    assert published == Counter(one.folder for one in specs(5))


def test_a_diverging_run_fails_alone_with_one_line(
    root: Path, together: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dropnas.search.seed_group import SeedGroup

    step = SeedGroup.step

    def spoiled(self: Any, epoch: int, number: int) -> torch.Tensor:
        losses = step(self, epoch, number).clone()
        if epoch == 1 and len(losses) > 1:  # not in the memory probe, which trains one seed
            losses[1] = torch.nan
        return losses

    monkeypatch.setattr(SeedGroup, "step", spoiled)
    lines: list[str] = []
    assert execute(specs(), root, lines.append) == 1
    first, failed, last = specs()
    assert [files(root, one) for one in (first, last)] == [files(together, one) for one in (first, last)]
    assert not (root / failed.folder).exists()
    error = "epoch 2, step 1: the loss is not finite"
    assert [line for line in capsys.readouterr().err.splitlines() if error in line] != []
    assert any(line.startswith(f"{failed.name}: fails: ") and "2 others go on" in line for line in lines)


def test_a_stop_signal_saves_all_runs_and_they_resume_to_the_same_bytes(root: Path, together: Path) -> None:
    def warned() -> None:
        execute(specs(), root, lambda line: os.kill(os.getpid(), signal.SIGTERM) if "epoch 1/2" in line else None)

    process = in_a_process(warned)
    process.join()
    assert process.exitcode == 75
    assert len(list(root.glob("scratch/*/checkpoint-*.pt"))) >= SEEDS
    lines: list[str] = []
    assert execute(specs(), root, lines.append) == 0
    assert sum(": continues from a checkpoint at epoch 2" in line for line in lines) == SEEDS
    assert [files(root, one) for one in specs()] == [files(together, one) for one in specs()]
    attempts = [record(root, one)["seconds"] for one in specs()]
    assert all(seconds > 0 for seconds in attempts)


def test_no_more_train_at_once_than_the_machine_allows(root: Path) -> None:
    some = specs(5, machine=replace(MACHINE, seeds_at_once=3))
    assert execute(some, root, print) == 0
    assert [record(root, one)["statistics"]["group"] for one in some] == [3, 3, 3, 2, 2]


def test_a_single_run_is_continued_in_a_group(root: Path, together: Path) -> None:
    """Checkpoints of single and grouped runs have the same format."""
    (one,) = specs(1, machine=replace(MACHINE, checkpoint_seconds=0.0))

    def killed() -> None:
        execute([one], root, lambda line: os._exit(9) if "epoch 1/2" in line else None)

    process = in_a_process(killed)
    process.join()
    assert process.exitcode == 9
    lines: list[str] = []
    assert execute(specs(), root, lines.append) == 0
    assert sum(": continues from" in line for line in lines) == 1
    assert json.loads(files(root, one)["result.json"]) == pytest.approx(json.loads(files(together, one)["result.json"]))


def test_searches_that_differ_in_more_than_the_seed_train_separately(root: Path) -> None:
    some = [*specs(1), *specs(1, learning_rate=0.01), *specs(1, group_seeds=False)]
    assert execute(some, root, print) == 0
    assert [record(root, one)["statistics"].get("group") for one in some] == [1, 1, 1]
