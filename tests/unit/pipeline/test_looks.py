"""A sequential plan from look to look, with trainings that have made-up errors, instead of Snakemake."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dropnas.artifacts.training_files import Errors, TrainingResultFile
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import freeze, read_plan
from dropnas.pipeline.looks import run_looks, standing
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.starts import current, look_file, starts, wanted
from dropnas.report.looked import read_looked
from dropnas.runs.store import Store

FILE = """
profile: seq
description: Seeds only where they decide.
reproduction: true
datasets:
  cifar10: {name: cifar10, source: torchvision}
  cifar100: {name: cifar100, source: torchvision}
tables: [table1, table4, baselines]
paper_spaces: [original]
baselines: [random]
figures: [figure3]
seeds: {looks: [3, 5], most: 8}
"""
MEANS = {"cifar10": (2.58, 2.75), "cifar100": (16.95, 19.5)}  # DropNAS; one-level DARTS and random search


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "seq.yaml"
    found.write_text(FILE)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "store"
    found.mkdir()
    return found


def error(name: str, seed: int) -> float:
    """A made-up test error that depends only on the run."""
    data, worse = name.partition("-")[0], "one-level" in name or "random" in name
    noise = np.random.default_rng([len(name), seed, worse]).normal()
    return float(MEANS[data][worse] + 0.15 * noise)


def trained(root: Path, most: int = 10**6) -> Callable[[Path], int]:
    """A start that publishes the trainings of all seeds, or is killed after some of them."""
    left = [most]

    def start(file: Path) -> int:
        for experiment in make_plan(read_parameters(file)).experiments.values():
            for run in experiment.trainings:
                if Store(root).is_published(root / run.folder):
                    continue
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                value = error(run.name, run.config.seed)
                staged = root / "scratch" / run.id / "staged"
                staged.mkdir(parents=True)
                result = TrainingResultFile(Errors(value, value, 1), None, 600, 10, 10000, 1, 1, 1, None)
                result.write(staged)
                Store(root).publish(staged, root / run.folder, {"id": run.id})
                shutil.rmtree(root / "scratch")
        return 0

    return start


def quiet(line: str) -> None:
    pass


def test_from_look_to_look(file: Path, root: Path) -> None:
    said: list[str] = []
    assert run_looks(file, root, trained(root), said.append) == 0
    looked = read_looked(root / "results/seq")
    assert looked
    assert looked.judged == 3
    verdicts = {(one.table, one.row, one.column): one for one in looked.numbers}
    clear = verdicts["table4", "cifar100/original", "one-level-darts"]  # 19.5 is not 17.27
    assert clear.verdict == "differs"
    assert clear.seeds < 8
    assert clear.interval
    assert clear.difference
    assert clear.unbiased
    assert clear.interval[0] < clear.unbiased <= clear.difference < clear.interval[1]
    assert {one.verdict for one in looked.numbers} >= {"differs", "undecided"}
    seeds = {name: len(folders) for name, folders in (looked.trainings or {}).items()}
    assert sorted(seeds.values()) == [3, 3, 5, 5, 8, 8]  # some experiments stop at each look
    assert said[0] == "look 1: 3 seeds for 6 of 6 experiments"
    assert said[-1].startswith("last start")
    shown = " ".join((root / "results/seq/looks.md").read_text("utf-8").split())
    assert "| Table 4, cifar100/original, one-level-darts | differs | decided at look" in shown


def test_the_starts_are_plain_parameter_files(file: Path, root: Path) -> None:
    run_looks(file, root, trained(root), quiet)
    written = starts(file, root)
    assert [one.name for one in written] == [f"look-{number}.yaml" for number in (1, 2, 3, 4)]
    first, *_, last = map(read_parameters, written)
    assert "select" not in {run.stage for run in make_plan(first).by_default().runs.values()}
    assert "select" in {run.stage for run in make_plan(last).by_default().runs.values()}
    assert current(file, root) == written[-1]
    assert read_plan(file, root) == read_plan(written[-1], root)
    assert read_plan(file, root)["looks"] == [3, 5, 8]
    needed = wanted([str(file)], root)
    assert needed
    assert needed >= {str(run.folder) for run in make_plan(last).runs.values()}
    assert replace(standing(read_parameters(file), root).following, profile="") == replace(last, profile="")


def test_killed_anywhere_it_goes_on_to_the_same_bytes(file: Path, root: Path, tmp_path: Path) -> None:
    run_looks(file, root, trained(root), quiet)
    expected = {name: (root / "results/seq" / name).read_bytes() for name in ("looks.json", "looks.md")}
    files = {one.name: one.read_bytes() for one in starts(file, root)}
    other = tmp_path / "other"
    other.mkdir()
    for most in (0, 5, 16):
        with pytest.raises(KeyboardInterrupt):
            run_looks(file, other, trained(other, most), quiet)
    assert run_looks(file, other, trained(other), quiet) == 0
    assert {name: (other / "results/seq" / name).read_bytes() for name in expected} == expected
    assert {one.name: one.read_bytes() for one in starts(file, other)} == files


def test_a_failed_start_ends_it(file: Path, root: Path) -> None:
    assert run_looks(file, root, lambda file: 3, quiet) == 3
    assert run_looks(file, root, lambda file: 0, quiet) == 0  # a dry run: nothing was trained
    assert read_looked(root / "results/seq") is not None
    assert not look_file("seq", 2, root).exists()


def test_a_design_may_not_change_after_the_first_look(file: Path, root: Path) -> None:
    run_looks(file, root, trained(root), quiet)
    file.write_text(FILE.replace("looks: [3, 5], most: 8", "looks: [3, 5], most: 16"))
    with pytest.raises(DropnasError, match=r"seeds.looks were 3, 5, 8 when the first look ran.*start again"):
        run_looks(file, root, trained(root), quiet)
    file.write_text(FILE + "retrainings: 2\n")
    with pytest.raises(DropnasError, match="settings are not those of the first look"):
        run_looks(file, root, trained(root), quiet)
    file.write_text(FILE.replace("Seeds only where they decide.", "In other words.") + "machine: {threads: 2}\n")
    assert run_looks(file, root, trained(root), quiet) == 0


def test_seeds_that_were_removed_by_hand_are_missed(file: Path, root: Path) -> None:
    run_looks(file, root, trained(root), quiet)
    looked = read_looked(root / "results/seq")
    assert looked
    assert looked.trainings
    folder = next(iter(looked.trainings.values()))[1]
    shutil.rmtree(root / "runs/retrain" / folder)
    with pytest.raises(DropnasError, match="which is missing") as raised:
        run_looks(file, root, trained(root), quiet)
    assert folder in str(raised.value)
    assert "\n" not in str(raised.value)


def test_runs_of_other_code_are_not_an_earlier_look(file: Path, root: Path) -> None:
    run_looks(file, root, trained(root), quiet)
    record = root / "results/seq/looks.json"
    content = json.loads(record.read_text())
    name = next(iter(content["trainings"]))
    content["trainings"][name][0] = "cifar10-something-else"
    record.write_text(json.dumps(content))
    with pytest.raises(DropnasError, match="other code or settings"):
        run_looks(file, root, trained(root), quiet)


def test_a_single_start_does_not_go_through_looks(file: Path, root: Path) -> None:
    with pytest.raises(DropnasError, match="has looks"):
        freeze(file, root)


def test_further_seeds_do_not_change_an_earlier_look(file: Path, root: Path) -> None:
    """Further seeds come from another plan."""
    run_looks(file, root, trained(root), quiet)
    expected = (root / "results/seq/looks.json").read_bytes()
    all_seeds = root.parent / "all.yaml"
    all_seeds.write_text(
        FILE.replace("seeds: {looks: [3, 5], most: 8}", "seeds: 8").replace("profile: seq", "profile: all")
    )
    trained(root)(all_seeds)
    shutil.rmtree(root / "results")
    assert run_looks(file, root, trained(root), quiet) == 0
    assert (root / "results/seq/looks.json").read_bytes() == expected
