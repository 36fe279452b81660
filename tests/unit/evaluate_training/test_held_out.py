"""Training images held out to choose epoch and seed: their selection, the measurements on them, and the decisions."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dropnas.analysis.finished_runs import FinishedRun, Training
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.training_files import Errors, HeldOut, TrainingResultFile
from dropnas.config import read_parameters
from dropnas.data import arrays, augment
from dropnas.data.batches import apart
from dropnas.errors import DropnasError
from dropnas.evaluate import loading, retrain, select
from dropnas.evaluate.config import RetrainConfig, SelectConfig
from dropnas.evaluate.results import by_held_out
from dropnas.report.measure import selected
from dropnas.space.genotype import Genotype
from dropnas.training.loop import train
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

PLAIN = RetrainConfig(
    cells=3, channels=4, epochs=2, batch_size=64, learning_rate=0.1, crop_padding=1, flip=False, cutout=2, drop_path=0.1
)
HELD_OUT = 120
CONFIG = dataclasses.replace(PLAIN, held_out=HELD_OUT)
EDGES = [["skip_connect", 0], ["skip_connect", 1]] * 4


# --- the split ------------------------------------------------------------------------------------------------------


@given(st.integers(2, 300), st.integers(0, 298), st.integers(0, 9))
def test_every_image_is_in_one_part(count: int, held_out: int, seed: int) -> None:
    held_out = min(held_out, count - 2)
    trained, rest = apart(count, held_out, generator(seed, "x"))
    assert len(rest) == held_out
    assert torch.equal(torch.cat([trained, rest]).sort().values, torch.arange(count))
    again = apart(count, held_out, generator(seed, "x"))
    assert torch.equal(trained, again[0]) and torch.equal(rest, again[1])


def test_nothing_held_out_leaves_the_images_in_their_order() -> None:
    trained, rest = apart(50, 0, generator(0, "x"))
    assert torch.equal(trained, torch.arange(50)) and not len(rest)


def test_more_images_contain_fewer() -> None:
    few, more = (set(apart(100, count, generator(0, "x"))[1].tolist()) for count in (10, 30))
    assert few < more


def test_the_images_are_spread_over_the_set() -> None:
    _, rest = apart(10_000, 1000, generator(0, "x"))
    assert [int(((rest >= start) & (rest < start + 2500)).sum()) for start in range(0, 10_000, 2500)] == pytest.approx(
        [250] * 4, abs=60
    )


@pytest.mark.parametrize("held_out", [99, 100, 5000])
def test_something_must_be_left_to_train_on(held_out: int) -> None:
    with pytest.raises(DropnasError, match=f"{held_out} of 100 training images cannot be held out") as raised:
        apart(100, held_out, generator(0, "x"))
    assert "\n" not in str(raised.value)


# --- the retraining -------------------------------------------------------------------------------------------------


def trainee(config: RetrainConfig, digits: Path, genotype: Path) -> retrain.Retraining:
    splits = (arrays.load(digits, split) for split in ("train", "test"))
    return retrain.Retraining(config, Genotype.read(genotype), *splits, "cpu")


@pytest.fixture(scope="module")
def finished(digits: Path, genotype: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished retraining with held-out images."""
    folder = tmp_path_factory.mktemp("held_out")
    out = folder / "out"
    out.mkdir()
    retrain.run(CONFIG, [digits, genotype], out, Workspace(folder / "scratch", "retraining"))
    return out


class Watched(arrays.ImageArrays):
    """Images that record which of them were used."""

    def batch(self, indices: Tensor) -> Tensor:
        asked: list[int] = self.__dict__.setdefault("asked", [])
        asked += indices.tolist()
        return super().batch(indices)


def test_held_out_images_are_measured_and_never_trained_on(digits: Path, genotype: Path, tmp_path: Path) -> None:
    training = Watched(**vars(arrays.load(digits, "train")))
    testing = arrays.load(digits, "test")
    made = retrain.Retraining(CONFIG, Genotype.read(genotype), training, testing, "cpu")
    held_out = set(made.held_out.tolist())
    assert len(held_out) == HELD_OUT and made.steps_per_epoch == -(-(700 - HELD_OUT) // 64)
    made.start_epoch(0)
    for step in range(made.steps_per_epoch):
        made.step(0, step)
    asked = training.__dict__["asked"]
    assert len(asked) == len(set(asked)) and set(asked) == set(range(700)) - held_out
    asked.clear()
    made.finish_epoch(0)
    assert set(asked) == held_out


def test_the_error_on_them_is_in_every_row_and_decides_the_epoch(finished: Path) -> None:
    rows = list(csv.DictReader((finished / "metrics.csv").open()))
    assert list(rows[0])[-1] == "held_out_error"
    errors = [float(row["held_out_error"]) for row in rows]
    first = errors.index(min(errors))
    result = json.loads((finished / "result.json").read_text())
    assert result["held_out"] == {
        "epoch": first + 1,
        "held_out_error": errors[first],
        "test_error": float(rows[first]["top1_error"]),
    }
    assert all(error * HELD_OUT / 100 == pytest.approx(round(error * HELD_OUT / 100)) for error in errors)


def test_the_final_error_on_them_is_that_of_the_archived_network(finished: Path, digits: Path, genotype: Path) -> None:
    network, images = loading.read_network(finished, {}).network, arrays.load(digits, "train")
    chosen = trainee(CONFIG, digits, genotype).held_out
    with torch.no_grad():
        logits, _ = network(augment.normalise(images.batch(chosen), images.mean, images.std))
    wrong = (logits.argmax(1) != images.labels[chosen]).sum().item()
    last = list(csv.DictReader((finished / "metrics.csv").open()))[-1]
    assert float(last["held_out_error"]) == pytest.approx(100 * wrong / HELD_OUT)


def test_they_are_the_same_images_for_every_seed(digits: Path, genotype: Path) -> None:
    one, other = (trainee(dataclasses.replace(CONFIG, seed=seed), digits, genotype) for seed in (0, 5))
    assert torch.equal(one.held_out, other.held_out)


def test_without_held_out_images_nothing_is_written_about_them(digits: Path, genotype: Path, tmp_path: Path) -> None:
    made = trainee(dataclasses.replace(PLAIN, epochs=1), digits, genotype)
    made.start_epoch(0)
    assert sorted(made.trained[made.draws.order].tolist()) == list(range(700))
    (rows,) = train(made, 1, [Workspace(tmp_path / "scratch", "plain")])
    assert not isinstance(rows, DropnasError) and list(rows[0])[-2:] == ["top1_error", "top5_error"]


class KilledError(Exception):
    """Simulates the end of a process."""


def test_a_killed_retraining_ends_the_same(finished: Path, digits: Path, genotype: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "scratch", "retraining", checkpoint_seconds=0)
    made = trainee(CONFIG, digits, genotype)
    steps = iter(range(made.steps_per_epoch + 3))
    step = made.step

    def mortal(epoch: int, number: int) -> Tensor:
        if next(steps, None) is None:
            raise KilledError
        return step(epoch, number)

    made.step = mortal  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        train(made, CONFIG.epochs, [workspace])
    out = tmp_path / "out"
    out.mkdir()
    retrain.run(CONFIG, [digits, genotype], out, workspace)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in finished.iterdir()
    }


def test_holding_out_more_images_than_there_are_is_one_line(digits: Path, genotype: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(PLAIN, held_out=700)
    with pytest.raises(DropnasError, match="700 of 700 training images cannot be held out"):
        retrain.run(config, [digits, genotype], tmp_path, Workspace(tmp_path / "scratch", "id"))


def test_the_first_epoch_with_the_lowest_held_out_error_is_chosen() -> None:
    rows = [
        {"epoch": epoch, "held_out_error": held_out, "top1_error": test}
        for epoch, held_out, test in ((1, 9.0, 8.0), (2, 4.0, 7.0), (3, 4.0, 3.0), (4, 5.0, 1.0))
    ]
    assert by_held_out(rows) == HeldOut(2, 4.0, 7.0)


# --- the choice -----------------------------------------------------------------------------------------------------


def candidate(folder: Path, name: str, best: float, held_out: Any) -> Path:
    run = folder / name
    run.mkdir()
    kept = None if held_out is None else HeldOut(1, held_out, 5.5)
    result = TrainingResultFile(Errors(5.0, best, 1), None, 1, 10, 9, 9, 9, 9, kept)
    (run / "result.json").write_text(json.dumps(result.values()))
    cell = {"normal": EDGES, "normal_concat": [2, 3, 4, 5], "reduce": EDGES, "reduce_concat": [2, 3, 4, 5]}
    (run / "genotype.json").write_text(json.dumps(cell))
    return run


def choose(runs: list[Path], folder: Path, criterion: Any = "held-out") -> Any:
    out = folder / "out"
    out.mkdir()
    select.run(SelectConfig(criterion), runs, out, Workspace(folder / "scratch", "id"))
    return json.loads((out / "selection.json").read_text())


def test_the_lowest_held_out_error_wins_whatever_the_test_says(tmp_path: Path) -> None:
    runs = [
        candidate(tmp_path, name, best, held_out)
        for name, best, held_out in (("a", 2.0, 6.0), ("b", 4.0, 3.0), ("c", 1.0, 3.0))
    ]
    selection = choose(runs, tmp_path)
    assert (selection["run"], selection["criterion"]) == ("b", "held-out")
    assert selection["candidates"][0] == {
        "run": "a", "top1_error_final": 5.0, "top1_error_best": 2.0, "held_out_error": 6.0,
    }  # fmt: skip


def test_a_candidate_without_a_held_out_error_is_named(tmp_path: Path) -> None:
    runs = [candidate(tmp_path, "a", 2.0, 6.0), candidate(tmp_path, "b", 2.0, None)]
    with pytest.raises(DropnasError, match="no error on held-out images") as raised:
        choose(runs, tmp_path)
    assert str(runs[1]) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [float("nan"), "3.0", True, [3.0]])
def test_an_invalid_held_out_error_is_refused(tmp_path: Path, value: Any) -> None:
    run = candidate(tmp_path, "a", 2.0, value)
    with pytest.raises(DropnasError, match=r"result\.json: held_out\.held_out_error: "):
        choose([run], tmp_path)


def training(name: str, best: float, held_out: float | None) -> Training:
    run = FinishedRun(Path(name), "retrain", "CPU", 1.0, "digits")
    chosen = None if held_out is None else HeldOut(1, held_out, 5.0)
    return Training(run, Errors(5.0, best, 1), None, 1, 1, GenotypeFile((), (), (), ()), chosen)


def test_tables_choose_as_the_select_stage_does() -> None:
    trainings = [training("a", 2.0, 6.0), training("b", 4.0, 3.0), training("c", 1.0, 3.0)]
    assert selected(trainings, "held-out").run.name == "b"
    assert selected(trainings, "best").run.name == "c"
    alone = training("transfer", 2.0, None)
    assert selected([alone], "held-out") is alone
    with pytest.raises(DropnasError, match="no error on held-out images"):
        selected([*trainings, alone], "held-out")


HEAD = "profile: x\ndescription: x\ntables: [table1]\ndatasets:\n  cifar10: {name: digits, source: bundled}\n"


def test_a_parameter_file_cannot_choose_by_what_it_does_not_hold_out(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(HEAD + "select: {criterion: held-out}\n")
    with pytest.raises(DropnasError, match=r"select.criterion: held-out needs images that are held out") as raised:
        read_parameters(file)
    assert "\n" not in str(raised.value)
    file.write_text(HEAD + "select: {criterion: held-out}\nretrain: {held_out: 5000}\n")
    assert read_parameters(file).retrain.held_out == 5000
