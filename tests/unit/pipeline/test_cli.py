"""The command line: a mistake is one line on standard error and status 1."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.in_process import verb_in

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "none.json"], "none.json: no such file"),
        (["search", "empty.json"], "empty.json: is not the spec of a run"),
        (["data", "numerals"], "unknown dataset 'numerals'"),
        (["data"], "no dataset is given"),
        (["data", "cifar10", "--params", "none.yaml"], "none.yaml: cannot be read"),
        (["verify", "--root", "nowhere"], "nowhere: there is no finished run here"),
        (["inspect", "[" * 100_000], "cannot be read as JSON"),
        (["data", "--checksum", "nowhere"], "nowhere"),
        (["run", "none.yaml"], "none.yaml: cannot be read"),
        (["plan", "none.yaml"], "none.yaml: cannot be read"),
        (["results", "plans/none"], "frozen.json: no such file"),
        (["results"], "no plan is given"),
        (["results", "--from", "none.zip"], "none.zip: No such file"),
        (["results", "--from", "empty.json"], "empty.json: is not an archive, or is damaged"),
        (["archive", "plans/none"], "frozen.json: no such file"),
        (["compare", "paper", "empty.json"], "paper: has no verdicts.json"),
        (["inspect", "dropnas_c1"], "did you mean dropnas_c10"),
        (["inspect", "dropnas_c10", "--network", "mnist"], "known: cifar10"),
        (["inspect", '{"normal": 3}'], "normal: input should be a valid array"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, arguments, message):
    (tmp_path / "empty.json").write_text("{}")
    done = verb_in(tmp_path, *arguments)
    assert done.status == 1 and done.out == ""
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["empty.json"]


def test_a_process_ends_with_that_line_and_status(tmp_path):
    command = [sys.executable, "-m", "dropnas", "plan", "none.yaml"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: none.yaml: cannot be read")


def test_a_dataset_by_name_is_the_run_that_a_plan_looks_for(tmp_path):
    parameters = str(REPOSITORY / "tests/workflow/micro.yaml")
    assert verb_in(tmp_path, "data", "cifar10", "--params", parameters).status == 0
    runs = json.loads(verb_in(tmp_path, "plan", parameters, "--json").out)
    states = {run["name"]: run["state"] for run in runs if run["stage"] == "data"}
    assert states == {"digits-64-40": "done", "digit-pairs-64-40": "missing", "digits-224-16-16": "missing"}
    again = verb_in(tmp_path, "data", "cifar10", "--params", parameters)
    assert again.status == 0 and "finished before" in again.out


def test_verify_names_a_changed_byte(tmp_path):
    parameters = str(REPOSITORY / "tests/workflow/micro.yaml")
    verb_in(tmp_path, "data", "cifar10", "--params", parameters)
    assert verb_in(tmp_path, "verify").out == "1 runs verified, 0 problems\n"
    labels = next(tmp_path.glob("data/*/*/train_labels.npy"))
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x01")
    done = verb_in(tmp_path, "verify")
    assert done.status == 1 and "train_labels.npy: changed" in done.err


def spec_of(folder: Path, stage: str) -> dict:
    """A spec of the micro plan."""
    parameters = str(REPOSITORY / "tests/workflow/micro.yaml")
    plan = folder / verb_in(folder, "freeze", parameters).out.strip()
    return next(s for s in map(json.loads, (f.read_text() for f in plan.glob("specs/*"))) if s["stage"] == stage)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folder": "../escaped-{id}"}, "its folders are not folders of runs"),
        ({"folder": "runs/../../escaped-{id}"}, "its folders are not folders of runs"),
        ({"id": "../runs", "folder": "data/digits/x-../runs"}, "its folders are not folders of runs"),
        ({"inputs": ["../elsewhere/run"]}, "its folders are not folders of runs"),
        ({"stage": "search"}, "is the spec of a search run, not of a data run"),
        ({"machine": 5}, "is not the spec of a run"),
        ({"more": 1}, "is not the spec of a run"),
    ],
)
def test_a_forged_spec_is_refused_and_writes_nothing(tmp_path, changes, message):
    spec = spec_of(tmp_path, "data")
    changed = {key: v.format(id=spec["id"]) if isinstance(v, str) else v for key, v in changes.items()}
    (tmp_path / "forged.json").write_text(json.dumps({**spec, **changed}))
    done = verb_in(tmp_path, "data", "forged.json")
    assert done.status == 1 and message in done.err and done.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"plans", "forged.json"}


def test_a_run_without_its_manifest_is_seen(tmp_path):
    parameters = str(REPOSITORY / "tests/workflow/micro.yaml")
    verb_in(tmp_path, "data", "cifar10", "--params", parameters)
    manifest = next(tmp_path.glob("data/*/*/manifest.json"))
    manifest.write_text("[]")
    assert "manifest.json: the file: input should be an object" in verb_in(tmp_path, "verify").err
    manifest.unlink()
    done = verb_in(tmp_path, "verify")
    assert done.status == 1 and "has a receipt but no manifest" in done.err
