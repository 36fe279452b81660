"""The choice of the best of several retrainings, and the errors that it reads."""

import json
from pathlib import Path

import pytest

from dropnas.artifacts.training_files import Errors, TrainingResultFile
from dropnas.errors import DropnasError
from dropnas.evaluate import select
from dropnas.evaluate.config import SelectConfig
from dropnas.evaluate.results import final_and_best
from dropnas.workspace import Workspace

EDGES = [["skip_connect", 0], ["skip_connect", 1]] * 4


def retraining(folder: Path, name: str, final: float, best: float, operation: str = "skip_connect") -> Path:
    run = folder / name
    run.mkdir()
    TrainingResultFile(Errors(final, best, 1), None, 1, 10, 9, 9, 9, 9).write(run)
    cell = [[operation, 0], *EDGES[1:]]
    genotype = {"normal": cell, "normal_concat": [2, 3, 4, 5], "reduce": EDGES, "reduce_concat": [2, 3, 4, 5]}
    (run / "genotype.json").write_text(json.dumps(genotype))
    return run


def choose(config: SelectConfig, runs: list[Path], folder: Path) -> tuple[dict, dict]:  # type: ignore[type-arg]
    out = folder / "out"
    out.mkdir()
    assert select.run(config, runs, out, Workspace(folder / "scratch", "id")) == {}
    return json.loads((out / "selection.json").read_text()), json.loads((out / "genotype.json").read_text())


@pytest.mark.parametrize(("criterion", "expected"), [("best", "b"), ("final", "c")])
def test_the_lowest_error_wins(tmp_path: Path, criterion: str, expected: str) -> None:
    runs = [
        retraining(tmp_path, "a", 5.0, 4.0),
        retraining(tmp_path, "b", 6.0, 3.0, "sep_conv_3x3"),
        retraining(tmp_path, "c", 4.5, 4.2, "dil_conv_3x3"),
    ]
    selection, genotype = choose(SelectConfig(criterion=criterion), runs, tmp_path)  # type: ignore[arg-type]
    assert selection["run"] == expected and selection["criterion"] == criterion
    assert genotype == json.loads((tmp_path / expected / "genotype.json").read_text())
    assert selection["candidates"][1] == {"run": "b", "top1_error_final": 6.0, "top1_error_best": 3.0}


def test_ties_go_to_the_first(tmp_path: Path) -> None:
    runs = [retraining(tmp_path, name, 5.0, 3.0) for name in ("z", "a", "m")]
    assert choose(SelectConfig(), runs, tmp_path)[0]["run"] == "z"


@pytest.mark.parametrize("content", ["", "{}", '{"top1_error": null}', "[1]"])
def test_an_unreadable_result_is_named(tmp_path: Path, content: str) -> None:
    run = retraining(tmp_path, "a", 1.0, 1.0)
    (run / "result.json").write_text(content)
    with pytest.raises(DropnasError) as error:
        choose(SelectConfig(), [run], tmp_path)
    assert str(run / "result.json") in str(error.value)


def test_nothing_to_choose_from(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="no retraining"):
        choose(SelectConfig(), [], tmp_path)


def test_best_is_the_first_epoch_with_the_lowest_error() -> None:
    rows = [{"epoch": epoch, "e": error, "n": None} for epoch, error in enumerate([9.0, 4.0, 4.0, 5.0], start=1)]
    assert final_and_best(rows, "e") == Errors(5.0, 4.0, 2)
    assert final_and_best(rows, "n") is None
