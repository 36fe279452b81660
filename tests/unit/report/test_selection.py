"""The effect of selection on the test set, from run folders."""

import json
from pathlib import Path
from typing import Any

import pytest

from dropnas.analysis.finished_runs import Training, read_run, read_training
from dropnas.artifacts.training_files import HeldOut
from dropnas.errors import DropnasError
from dropnas.report.page.selections import selection
from tests.unit.report.conftest import Runs

SEEDS = ((2.80, 2.60, 9.0, 2.70), (2.90, 2.50, 9.5, 2.85), (2.70, 2.65, 8.5, 2.66))  # final, best, held out, test there


def trained(runs: Runs, name: str, final: float, best: float, held_out: Any = None) -> Training:
    folder = runs.training(name, final, best)
    if held_out is not None:
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**result, "held_out": held_out}))
    return read_training(read_run(folder))


def with_held_out(runs: Runs) -> list[Training]:
    return [
        trained(runs, f"seed{seed}", final, best, {"epoch": 3, "held_out_error": held_out, "test_error": test})
        for seed, (final, best, held_out, test) in enumerate(SEEDS)
    ]


def test_the_epoch(runs: Runs) -> None:
    found = selection([trained(runs, f"seed{seed}", *errors[:2]) for seed, errors in enumerate(SEEDS)])
    assert found.epoch.values == pytest.approx((0.2, 0.4, 0.05))
    assert (found.held_out_epoch, found.best_seed) == (None, None)


def test_epoch_and_best_of_several_chosen_on_held_out_images(runs: Runs) -> None:
    found = selection(with_held_out(runs))
    assert found.held_out_epoch and found.held_out_epoch.values == pytest.approx((0.1, 0.35, 0.01))
    assert found.best_seed == pytest.approx(2.66 - 2.5)  # of the third and of the second seed


def test_a_single_training_has_no_interval_and_no_best(runs: Runs) -> None:
    found = selection(with_held_out(runs)[:1])
    assert (found.best_seed, found.epoch.std, found.epoch.mean) == (None, None, pytest.approx(0.2))


def test_held_out_errors_of_some_trainings_only_are_left_out(runs: Runs) -> None:
    found = selection([*with_held_out(runs), trained(runs, "another", 2.9, 2.8)])
    assert (found.epoch.n, found.held_out_epoch, found.best_seed) == (4, None, None)


def test_no_trainings_are_an_error() -> None:
    with pytest.raises(ValueError):
        selection([])


def test_the_held_out_epoch_is_read(runs: Runs) -> None:
    content = {"epoch": 7, "held_out_error": 8.5, "test_error": 2.75}
    assert trained(runs, "with", 2.8, 2.7, content).held_out == HeldOut(7, 8.5, 2.75)
    assert trained(runs, "without", 2.8, 2.7).held_out is None


@pytest.mark.parametrize(
    "content", [[], "x", {"epoch": 7}, {"epoch": 7, "held_out_error": 8.5, "test_error": float("nan")}]
)
def test_a_damaged_held_out_epoch_is_refused(runs: Runs, content: Any, tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match=r"damaged/result.json: held_out"):
        trained(runs, "damaged", 2.8, 2.7, content)
