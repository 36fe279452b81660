"""Why a run is missing: the key, file or input that changed since the nearest finished run."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.plan_view import targets
from dropnas.monitor.why import why_missing
from dropnas.pipeline.freeze import freeze
from dropnas.pipeline.plan import make_plan
from tests.unit.monitor.stored import of_stage, publish

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "tests/workflow/micro.yaml"
PARAMETERS = read_parameters(FILE)
PLAN = make_plan(PARAMETERS)
SEARCH = of_stage(PLAN, "search")[0]


def why(plan, wanted: str, root: Path) -> list[str]:
    return list(why_missing(plan, wanted, root))


def publish_all(root: Path, plan) -> None:
    for stage in ("data", "search", "derive", "retrain"):
        for run in of_stage(plan, stage):
            publish(root, run)


def test_a_changed_key_is_named_with_both_values(tmp_path):
    publish_all(tmp_path, PLAN)
    changed = make_plan(replace(PARAMETERS, search=replace(PARAMETERS.search, epochs=9)))
    lines = why(changed, of_stage(changed, "search")[0].id, tmp_path)
    assert lines[0].endswith(": missing") and lines[1] == f"  nearest finished run: {SEARCH.folder.name}"
    assert lines[2:] == [f"  epochs: 9, was {PARAMETERS.search.epochs}"]


def test_a_changed_input_is_followed_to_what_was_edited(tmp_path):
    publish_all(tmp_path, PLAN)
    changed = make_plan(replace(PARAMETERS, search=replace(PARAMETERS.search, epochs=9)))
    retraining = of_stage(changed, "retrain")[0]
    lines = why(changed, str(retraining.folder), tmp_path)
    genotype = retraining.inputs[1]
    assert f"  input: {genotype.folder}, which is missing" in lines
    assert lines[-1].strip() == f"epochs: 9, was {PARAMETERS.search.epochs}"
    publish(tmp_path, genotype)  # a finished input is compared with the former one, not with itself
    again = why(changed, str(retraining.folder), tmp_path)
    assert f"  input: {genotype.folder}" in again and again[-1] == lines[-1]


def test_an_option_of_a_method_and_another_seed_are_named(tmp_path):
    publish(tmp_path, SEARCH)
    other = replace(SEARCH, name="x", config=replace(SEARCH.config, seed=77, options={"rate_parameterised": 1e-4}))
    plan = replace(PLAN, runs={other.id: other})
    lines = [line.strip() for line in why(plan, "x", tmp_path)]
    assert f"seed: 77, was {SEARCH.config.seed}" in lines
    assert any(line.startswith("options.rate_parameterised: 0.0001, was ") for line in lines)


def test_a_changed_file_is_named(tmp_path):
    """A frozen start made the run; since then, one file of its code has changed."""
    frozen = tmp_path / freeze(FILE, tmp_path)
    publish(tmp_path, SEARCH)
    edited = frozen / "source/dropnas/search/dropout.py"
    edited.write_text(edited.read_text() + "\nSOMETHING = 1\n")
    (frozen / "source/dropnas/search/step.py").open("a").write("\n# a comment\n")
    now = replace(SEARCH, code="0" * 64)
    plan = replace(PLAN, runs={now.id: now})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dropnas.pipeline.adoption.adopt.check", lambda folder: None)
        lines = why(plan, now.id, tmp_path)
    assert lines[-1] == "  code: dropnas/search/dropout.py"


def test_without_the_former_source_the_file_is_unknown(tmp_path):
    publish(tmp_path, SEARCH)
    now = replace(SEARCH, code="0" * 64)
    lines = why(replace(PLAN, runs={now.id: now}), now.id, tmp_path)
    assert "the file is unknown" in lines[-1] and "neither in a frozen start nor in a commit" in lines[-1]


def test_finished_runs_and_runs_without_an_equal_are_reported(tmp_path):
    assert why(PLAN, SEARCH.id, tmp_path)[1:] == ["  no other search run is finished"]
    publish(tmp_path, SEARCH)
    assert why(PLAN, SEARCH.id, tmp_path) == [f"{SEARCH.folder}: done"]


def test_a_name_must_be_that_of_one_run(tmp_path):
    with pytest.raises(DropnasError, match="no run 'nothing' in the plan"):
        why(PLAN, "nothing", tmp_path)
    with pytest.raises(DropnasError, match=r"several runs.*runs/search/.*runs/derive/"):
        why(PLAN, SEARCH.name, tmp_path)


def test_the_targets_are_listed(tmp_path):
    lines = list(targets(FILE, tmp_path))
    assert [line.split()[0] for line in lines] == list(PLAN.targets)
    assert {line.split()[0] for line in lines if line.endswith("on request")} == PLAN.on_request
    command = [sys.executable, "-m", "dropnas", "run", str(FILE), "--list", "--root", str(tmp_path)]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, text=True, capture_output=True).stdout
    assert listed.splitlines() == lines and not list(tmp_path.iterdir())
