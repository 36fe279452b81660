"""Watching a plan: finished, running, failed and waiting runs, the pace, and the remaining time."""

import io
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame
from rich.console import Console
from typer.testing import CliRunner

from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.cli import app
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor import display
from dropnas.monitor.display import plain, rendered, show
from dropnas.monitor.watch import Snapshot, Watch, failure, time_left
from dropnas.monitor.words import cells, described, seeds_text
from dropnas.pipeline.compute import PROGRESS
from dropnas.pipeline.execute import execute
from dropnas.pipeline.freeze import plan_content, read_plan
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.specs import spec
from dropnas.runs.files import write_json, write_text
from dropnas.runs.lease import lease
from dropnas.runs.store import Store
from dropnas.space.published import published
from tests.unit.monitor.stored import of_stage, publish, publish_data, took

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "tests/workflow/micro.yaml"
PLAN = make_plan(read_parameters(FILE))
CONTENT = plan_content(PLAN)
PAPER = plan_content(make_plan(read_parameters(REPOSITORY / "params/paper.yaml")))
SEARCHES, RETRAININGS = of_stage(PLAN.by_default(), "search"), of_stage(PLAN.by_default(), "retrain")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish_data(tmp_path, PLAN)
    return tmp_path


def begin(root: Path, run, line: str = "", ago: float = 60.0) -> Path:
    """The scratch folder of a run that was begun; a process that works on it holds its lease."""
    scratch = Store(root).scratch(run.id)
    write_json(scratch / "attempts.json", [{"started": time.time() - ago, "seconds": 0.0}])
    if line:
        write_text(scratch / PROGRESS, f"{run.name}: {line}\n")
    return scratch


def left(found: Snapshot, id_: str) -> float:
    """The known device-hours that a run still needs."""
    return float(found.work.left[id_])


def unknown(found: Snapshot) -> int:
    """The number of trainings with unknown hours."""
    return int(found.work.hours.isna().sum())


def log_of(root: Path, run) -> Path:
    job = next(job for job in CONTENT["jobs"] if run.id in job["runs"])
    return root / "logs" / "micro" / job["rule"] / job["attempts"]


def test_a_fresh_plan_waits(tmp_path):
    found = Watch(CONTENT, tmp_path).look()
    assert not found.done and found.running.empty and found.failed.empty and not found.complete
    assert set(found.work.id) == set(PLAN.by_default().runs)
    assert unknown(found) == len(SEARCHES) + len(RETRAININGS) + 2


def test_a_run_in_work_is_shown_with_its_last_line_and_shortens_the_time_to_go(root):
    first, second = SEARCHES[:2]
    publish(root, first, **took(7200))
    with lease(begin(root, second, "epoch 1/4: train_loss 2.1, 3.0 s", ago=90)):
        found = Watch(CONTENT, root).look()
        (running,) = found.running.itertuples()
        assert running.id == second.id and running.line.startswith("epoch 1/4")
        assert found.time - running.started == pytest.approx(90, abs=5)
        assert running.left == pytest.approx(2.0 * 3 / 4)
        assert first.id in found.done and left(found, first.id) == 0


def test_without_an_epoch_the_time_that_it_runs_counts(root):
    publish(root, SEARCHES[0], **took(7200))
    with lease(begin(root, SEARCHES[1], ago=1800)):
        assert left(Watch(CONTENT, root).look(), SEARCHES[1].id) == pytest.approx(1.5, abs=0.01)


def test_a_stopped_run_and_a_failed_one_are_distinguished(root):
    stopped, failed = SEARCHES[0], SEARCHES[-1]
    begin(root, stopped, "epoch 1/4: train_loss 2.1")
    write_text(log_of(root, failed), f"error: search {failed.name}: the loss is not finite\n")
    found = Watch(CONTENT, root).look().failed
    assert found.reason.to_dict() == {stopped.id: "stopped", failed.id: "the loss is not finite"}
    assert found.log.to_dict() == {stopped.id: "", failed.id: str(log_of(root, failed))}


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


@given(st.lists(st.tuples(st.floats(0, 100), st.sets(st.integers(0, 30))), max_size=12), st.integers(1, 6))
def test_no_plan_is_done_before_its_longest_chain_or_its_share(nodes, jobs):
    """The bounds are compared with the result of a plain scheduler."""
    runs = [{"id": str(i), "inputs": [str(j) for j in before if j < i]} for i, (_, before) in enumerate(nodes)]
    hours = [hours for hours, _ in nodes]
    left = {str(i): one for i, one in enumerate(hours)}
    ends: dict[str, float] = {}
    for run in runs:
        ends[run["id"]] = max((ends[source] for source in run["inputs"]), default=0.0) + left[run["id"]]
    work = DataFrame({"inputs": [run["inputs"] for run in runs], "left": hours}, index=[run["id"] for run in runs])
    found = time_left(work, jobs)
    assert found == pytest.approx(max(sum(left.values()) / jobs, max(ends.values(), default=0.0)))
    assert found <= sum(left.values()) + 1e-9


def test_a_target_alone_is_watched(tmp_path):
    found = Watch(CONTENT, tmp_path, ["table1"]).look()
    assert {*found.work.stage} == {"data", "search", "derive", "retrain", "select", "table"}
    with pytest.raises(DropnasError, match="no target 'table9'"):
        Watch(CONTENT, tmp_path, ["table9"])


def test_what_was_pruned_behind_a_finished_table_is_not_waited_for(tmp_path):
    publish(tmp_path, PLAN.targets["table1"])
    assert Watch(CONTENT, tmp_path, ["table1"]).look().complete
    both = Watch(CONTENT, tmp_path, ["table1", "table3"]).look()
    assert not both.complete and {*both.work.stage} >= {"search", "retrain", "transfer"}


def test_what_is_no_plan_is_named(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DropnasError, match=r"plan\.json: is not a plan"):
        read_plan(tmp_path, tmp_path)
    with pytest.raises(DropnasError, match="cannot be read"):
        read_plan(Path("none.yaml"), tmp_path)


def show_once(root: Path, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(rendered(Watch(CONTENT, root).look()))
    return console.export_text()


def test_watch_ends_when_all_is_done(root, capsys):
    publish_trained(root, SEARCHES[0], day=1)
    with lease(begin(root, SEARCHES[1], "epoch 1/4: train_loss 2.1")):
        assert not show(Watch(CONTENT, root), once=True).complete
    shown = capsys.readouterr().out
    assert "seed 1 · epoch 1/4" in shown and "0:01 h" in shown and "left" in shown
    for run in PLAN.by_default().runs.values():
        if run.stage != "data" and run is not SEARCHES[0]:
            publish_trained(root, run, day=2)
    assert show(Watch(CONTENT, root, ["table1"])).complete
    (line,) = capsys.readouterr().out.splitlines()  # there is no terminal
    assert "100 %" in line and "all runs are done" in line and "last: Table 1, DropNAS: " in line


def publish_trained(root: Path, run, day: int, error: float = 4.0) -> None:
    """Publish a run; of a retraining or transfer also its errors."""
    record = took(7200, day=day) if run.stage in ("search", "retrain", "transfer") else {}
    counts = {"epochs": 4, "classes": 10, "parameters": 1, "parameters_with_auxiliary": 2, "multiply_adds": 3}
    errors = {"final": error + 1, "best": error, "best_epoch": 3}
    result = {"top1_error": errors, "top5_error": None, **counts, "test_images": 40}
    files = (
        {"result.json": result, "genotype.json": published()["darts_v2"].genotype.values()}
        if run.stage in ("retrain", "transfer")
        else {}
    )
    publish(root, run, files, **record)


def test_a_log_gets_a_line_when_something_changes_and_the_end_comes_from_outside(root, capsys):
    looks, seen = iter([False, False, False, True]), []

    def over(seconds: float) -> bool:
        assert seconds == display.LINE_PERIOD
        ended = next(looks)
        if ended:
            publish_trained(root, SEARCHES[0], day=1)
        return ended

    assert not show(Watch(CONTENT, root), over=over, seen=seen.append).complete and len(seen) == 5
    first, last = capsys.readouterr().out.splitlines()
    assert "; 3 done" in first and "; 4 done" in last


def test_the_verb_shows_it_once(root):
    shown = CliRunner().invoke(app, ["watch", str(FILE), "table1", "--once", "--root", str(root)])
    assert shown.exit_code == 0 and "search" in shown.output and "plan --measure" in shown.output


def test_the_bar_weighs_trainings_by_their_hours(root):
    """One of four equal searches takes two hours, so half of another one counts one hour."""
    publish_trained(root, SEARCHES[0], day=1)
    watch = Watch({**CONTENT, "runs": [run for run in CONTENT["runs"] if run["stage"] in ("data", "search")]}, root)
    alike = watch.look().work.query("stage == 'search'")
    equal = [*alike.index[alike.left == 2.0]]
    others = len(alike) - len(equal) - 1  # these have the same weight
    second = next(run for run in SEARCHES if run.id == equal[0])
    with lease(begin(root, second, "epoch 2/4: train_loss 2.1")):
        found = watch.look()
    assert found.part == pytest.approx(1.5 / (1 + len(equal) + others)) and unknown(found) == others
    assert "3.00 CPU-hours spent" in plain(found)


def test_runs_in_words(root):
    runs = {run["id"]: run for run in PAPER["runs"]}

    def words(name: str, stage: str) -> str:
        run = next(run for run in runs.values() if run["name"] == name and run["stage"] == stage)
        text, seed = described(run, runs)
        return text if seed is None else f"{text} · {seeds_text([seed])}"

    assert words("cifar100-original-dropnas-seed3-train3", "retrain") == "retrain · CIFAR-100 · DropNAS · seed 3"
    assert (
        words("cifar10-3-skip-one-level-darts-seed0", "search")
        == "search · CIFAR-10 · one-level DARTS · 3-skip · seed 0"
    )
    best = "cifar10-original-dropnas-best-of-8"
    assert words(f"imagenet-from-{best}", "transfer") == "transfer · ImageNet · DropNAS · best · seed 0"
    assert words(f"{best}-augmented-train0", "retrain") == "retrain · CIFAR-10 · DropNAS · AutoAugment · seed 0"
    assert words("cifar10-random-original-seed2-train2", "retrain") == "retrain · CIFAR-10 · random search · seed 2"
    assert words("table5-paper", "table") == "Table 5"
    for run in runs.values():
        assert described(run, runs)[0]
    assert [seeds_text(some) for some in ([], [2], [0, 1, 2], [0, 2])] == ["", "seed 2", "seeds 0-2", "seeds 0, 2"]


def test_cells_in_words():
    found = cells({run["id"]: run for run in PAPER["runs"]})
    names = set(found.cell)
    tables = [run["config"]["entries"] for run in PAPER["runs"] if run["stage"] == "table"]
    assert len(names) == sum(map(len, tables))
    expected = {"Table 5, cell (3e-5, 1e-5)", "Table 1, DropNAS", "Table 4, CIFAR-10 3-skip, one-level DARTS"}
    assert expected | {"Table 6, CIFAR-100, No grouping", "Table 3, DropNAS (CIFAR-10)"} <= names


def test_the_last_result_and_the_next_one(root):
    """The mean of the finished runs, and the cell whose next training ends first."""
    first, second = of_cell(PLAN, "table1")[:2]
    publish_trained(root, first, day=1, error=4.0)
    found = Watch(CONTENT, root).look()
    assert found.last == "Table 1, DropNAS: 4.00 % after 1 of 2 seeds"
    with lease(begin(root, second, "epoch 1/4: train_loss 2.1")):
        assert Watch(CONTENT, root).look().next == "Table 1, DropNAS · 2 of 2 seeds · in about 1.50 h"
    publish_trained(root, second, day=2, error=5.0)
    watch = Watch(CONTENT, root)
    assert watch.look().last == "Table 1, DropNAS: 4.50 % after 2 of 2 seeds" and watch.look().next
    (root / second.folder / "result.json").write_text("{}")
    assert "result.json: top1_error: " in Watch(CONTENT, root).look().last


def of_cell(plan, table: str) -> list:
    """The trainings of the first cell of a table."""
    config, inputs = plan.targets[table].config, plan.targets[table].inputs
    return [inputs[index] for index in config.entries[0].trainings]


def test_the_display_fits_into_80_columns(root):
    publish_trained(root, SEARCHES[0], day=1)
    with ExitStack() as stack:
        for run in (*SEARCHES[1:3], *RETRAININGS[:-1]):
            stack.enter_context(lease(begin(root, run, "epoch 1/4: train_loss 2.1, learning_rate 0.025, 12.5 s")))
        write_text(log_of(root, RETRAININGS[-1]), f"error: retrain {RETRAININGS[-1].name}: the loss is not finite\n")
        shown = show_once(root)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in shown
    rows = {line.split()[0]: line.split()[1:5] for line in reversed(lines) if line.strip()}  # the stages come first
    assert rows["search"] == ["1", "2", "-", "-"]
    assert rows["retrain"] == ["-", str(len(RETRAININGS) - 1), "-", "1"]
    assert "the loss is not finite" in shown and "epoch 1/4" in shown


def test_a_running_run_leaves_its_last_line_in_its_scratch_folder(tmp_path):
    data = of_stage(PLAN.by_default(), "data")[0]
    seen: list[str] = []

    def look(line: str) -> None:
        kept = Store(tmp_path).scratch(data.id) / PROGRESS
        seen.append(kept.read_text() if kept.is_file() else f"gone: {line}\n")

    lines: list[str] = []
    given_spec = spec(data, "micro", PLAN.parameters.machine)
    assert execute([given_spec], tmp_path, lambda line: (lines.append(line), look(line))[0]) == 0
    assert lines[0] == f"{data.name}: {seen[0].strip()}"
    assert not Store(tmp_path).scratch(data.id).exists()
    assert ManifestFile.read(tmp_path / data.folder).run["processes"] == 1


def test_idle_time_between_attempts_is_not_counted(tmp_path):
    """Killed an hour after its start and continued three hours later: the hour and the present time count."""
    data = of_stage(PLAN.by_default(), "data")[0]
    scratch, now = Store(tmp_path).scratch(data.id), time.time()
    write_json(scratch / "attempts.json", [{"started": now - 4 * 3600, "seconds": 0.0}])
    write_text(scratch / PROGRESS, "the last sign of life\n")
    for file in scratch.iterdir():
        os.utime(file, (now - 3 * 3600, now - 3 * 3600))
    assert execute([spec(data, "micro", PLAN.parameters.machine)], tmp_path, lambda line: None) == 0
    assert ManifestFile.read(tmp_path / data.folder).run["seconds"] == pytest.approx(3600, abs=60)


def test_a_frozen_plan_is_watched_as_its_parameter_file_is(tmp_path):
    folder = tmp_path / "plans" / "1"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(CONTENT))
    assert read_plan(Path("plans/1"), tmp_path) == json.loads(json.dumps(CONTENT))
