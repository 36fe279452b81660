"""Watching a plan: what is done, running, failed and waiting, how fast it goes and how long it will take."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.pace import PAUSE, hours_to_go, rate
from dropnas.monitor.watch import Watch, failure
from dropnas.monitor.watch_view import duration
from dropnas.pipeline.compute import PROGRESS
from dropnas.pipeline.execute import execute
from dropnas.pipeline.freeze import plan_content, read_plan, spec
from dropnas.pipeline.plan import make_plan
from dropnas.runs.files import write_json, write_text
from dropnas.runs.lease import lease
from dropnas.runs.store import Store
from tests.unit.monitor.stored import of_stage, publish, publish_data, took

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "tests/workflow/micro.yaml"
PLAN = make_plan(read_parameters(FILE))
CONTENT = plan_content(PLAN)
SEARCHES, RETRAININGS = of_stage(PLAN.by_default(), "search"), of_stage(PLAN.by_default(), "retrain")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish_data(tmp_path, PLAN)
    return tmp_path


def begin(root: Path, run, line: str = "", ago: float = 60.0) -> Path:
    """The scratch folder of a run that somebody began; who works on it holds its lease."""
    scratch = Store(root).scratch(run.id)
    write_json(scratch / "attempts.json", [{"started": time.time() - ago, "seconds": 0.0}])
    if line:
        write_text(scratch / PROGRESS, f"{run.name}: {line}\n")
    return scratch


def log_of(root: Path, run) -> Path:
    job = next(job for job in CONTENT["jobs"] if run.id in job["runs"])
    return root / "logs" / "micro" / run.stage / f"{job['name']}.log"


def test_a_fresh_plan_waits(tmp_path):
    found = Watch(CONTENT, tmp_path).look()
    assert not found.done and not found.running and not found.failed and not found.complete and found.rate is None
    assert {run["id"] for run in found.runs} == set(PLAN.by_default().runs)
    assert found.unknown == len(SEARCHES) + len(RETRAININGS) + 2


def test_a_run_in_work_is_shown_with_its_last_line_and_shortens_the_time_to_go(root):
    first, second = SEARCHES[:2]
    publish(root, first, **took(7200))
    with lease(begin(root, second, "epoch 1/4: train_loss 2.1, 3.0 s", ago=90)):
        found = Watch(CONTENT, root).look()
        (running,) = found.running
        assert running.run["id"] == second.id and running.line.startswith("epoch 1/4")
        assert found.time - running.started == pytest.approx(90, abs=5)
        assert found.left[second.id] == pytest.approx(2.0 * 3 / 4)
        assert first.id in found.done and first.id not in found.left


def test_without_an_epoch_the_time_that_it_runs_counts(root):
    publish(root, SEARCHES[0], **took(7200))
    with lease(begin(root, SEARCHES[1], ago=1800)):
        assert Watch(CONTENT, root).look().left[SEARCHES[1].id] == pytest.approx(1.5, abs=0.01)


def test_a_stopped_run_and_a_failed_one_are_told_apart(root):
    stopped, failed = SEARCHES[0], SEARCHES[-1]
    begin(root, stopped, "epoch 1/4: train_loss 2.1")
    write_text(log_of(root, failed), f"error: search {failed.name}: the loss is not finite\n")
    found = {one.run["id"]: one for one in Watch(CONTENT, root).look().failed}
    assert found.keys() == {stopped.id, failed.id}
    assert found[stopped.id].reason == "stopped" and found[stopped.id].log is None
    assert found[failed.id].reason == "the loss is not finite" and found[failed.id].log == log_of(root, failed)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("", ""),
        ("a: epoch 1/2: fine\n", ""),
        ("error: search a: no such file\n", "no such file"),
        ("error: search a: no such file\na: epoch 1/2: fine\n", ""),  # it was started again
        ("error: search a: no such file\nruns/search/a-1: published\n", ""),
        ("error: search b: no such file\n", ""),
        (
            "Traceback\nKeyError: 1\nerror: search a: a mistake in the program: KeyError: 1\nb: fine\n",
            "a mistake in the program: KeyError: 1",
        ),
        (
            "a: epoch 1/2: fine\nerror: plans/1: was changed after it was frozen\n",
            "plans/1: was changed after it was frozen",
        ),
    ],
)
def test_why_a_run_failed(log, reason):
    assert failure(log, {"stage": "search", "name": "a", "folder": "runs/search/a-1"}) == reason


def test_the_rate_is_that_of_the_present_stretch():
    """Two runs of half an hour beside one of an hour; what was before a pause of a day does not count."""
    day = 86_400.0
    found = rate([(0, 1800), (day, day + 1800), (day + 1800, day + 3600)], [day], now=day + 3601)
    assert found is not None and found.since == day
    assert found.trainings == pytest.approx(2, rel=0.01) and found.device_hours == pytest.approx(2, rel=0.01)
    assert rate([], [0.0], now=100.0) is None
    assert rate([(0, 100)], [], now=101 + PAUSE) is None


@given(st.lists(st.tuples(st.floats(0, 100), st.sets(st.integers(0, 30))), max_size=12), st.integers(1, 6))
def test_no_plan_is_done_before_its_longest_chain_or_its_share(nodes, jobs):
    """Against lists of runs that a plain scheduler works through one at a time."""
    runs = [{"id": str(i), "inputs": [str(j) for j in before if j < i]} for i, (_, before) in enumerate(nodes)]
    left = {str(i): hours for i, (hours, _) in enumerate(nodes)}
    ends: dict[str, float] = {}
    for run in runs:
        ends[run["id"]] = max((ends[source] for source in run["inputs"]), default=0.0) + left[run["id"]]
    found = hours_to_go(runs, left, jobs)
    assert found == pytest.approx(max(sum(left.values()) / jobs, max(ends.values(), default=0.0)))
    assert found <= sum(left.values()) + 1e-9


def test_a_target_alone_is_watched(tmp_path):
    found = Watch(CONTENT, tmp_path, ["table1"]).look()
    assert {run["stage"] for run in found.runs} == {"data", "search", "derive", "retrain", "select", "table"}
    with pytest.raises(DropnasError, match="no target 'table9'"):
        Watch(CONTENT, tmp_path, ["table9"])


def test_what_is_no_plan_is_named(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DropnasError, match=r"plan\.json: is no plan"):
        read_plan(tmp_path, tmp_path)
    with pytest.raises(DropnasError, match="cannot be read"):
        read_plan(Path("none.yaml"), tmp_path)


def test_watch_prints_once_where_there_is_no_terminal_and_ends_when_all_is_done(root):
    def watch(*options: str) -> str:
        command = [sys.executable, "-m", "dropnas", "watch", str(FILE), "--root", str(root), *options]
        done = subprocess.run(command, text=True, capture_output=True, check=True, env={**os.environ, "TZ": "UTC"})
        return done.stdout

    publish(root, SEARCHES[0], **took(7200))
    with lease(begin(root, SEARCHES[1], "epoch 1/4: train_loss 2.1")):
        shown = watch()
    assert f"search {SEARCHES[1].name}" in shown and "1 min" in shown and "epoch 1/4" in shown and "To go" in shown
    for run in PLAN.by_default().runs.values():
        if run.stage != "data" and run is not SEARCHES[0]:
            publish(root, run, **(took(60) if run.stage in ("search", "retrain", "transfer") else {}))
    assert "All is done." in watch("table1") and "running" in shown


def test_a_running_run_leaves_its_last_line_in_its_scratch_folder(tmp_path):
    data = of_stage(PLAN.by_default(), "data")[0]
    seen: list[str] = []

    def look(line: str) -> None:
        kept = Store(tmp_path).scratch(data.id) / PROGRESS
        seen.append(kept.read_text() if kept.is_file() else f"gone: {line}\n")

    told: list[str] = []
    given_spec = spec(data, "micro", PLAN.parameters.machine)
    assert execute([given_spec], tmp_path, lambda line: (told.append(line), look(line))[0]) == 0
    assert told[0] == f"{data.name}: {seen[0].strip()}"
    assert not Store(tmp_path).scratch(data.id).exists()
    assert ManifestFile.read(tmp_path / data.folder).run["processes"] == 1


def test_time_in_which_nobody_worked_is_no_part_of_what_a_run_took(tmp_path):
    """Killed an hour after its start, taken up three hours later: an hour, and what it takes now."""
    data = of_stage(PLAN.by_default(), "data")[0]
    scratch, now = Store(tmp_path).scratch(data.id), time.time()
    write_json(scratch / "attempts.json", [{"started": now - 4 * 3600, "seconds": 0.0}])
    write_text(scratch / PROGRESS, "the last sign of life\n")
    for file in scratch.iterdir():
        os.utime(file, (now - 3 * 3600, now - 3 * 3600))
    assert execute([spec(data, "micro", PLAN.parameters.machine)], tmp_path, lambda line: None) == 0
    assert ManifestFile.read(tmp_path / data.folder).run["seconds"] == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 01 s"),
        (3600, "1 h 00 min"),
        (47 * 3600, "47 h 00 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_frozen_plan_is_watched_as_its_parameter_file_is(tmp_path):
    folder = tmp_path / "plans" / "1"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(CONTENT))
    assert read_plan(Path("plans/1"), tmp_path) == json.loads(json.dumps(CONTENT))
