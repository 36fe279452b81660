"""The verb `run`: its display while Snakemake works, its updates of the results, and its last lines."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dropnas.monitor import live_run
from dropnas.monitor.estimate import HOUR
from dropnas.monitor.live_run import Renewal
from dropnas.monitor.watch import Snapshot, Watch
from dropnas.pipeline.start import Start
from dropnas.runs.files import write_text
from tests.unit.monitor.test_watch import CONTENT, PLAN, log_of

TABLE, SEARCH = (next(run.id for run in PLAN.runs.values() if run.stage == stage) for stage in ("table", "search"))


@pytest.fixture
def first(tmp_path: Path) -> Snapshot:
    return Watch(CONTENT, tmp_path).look()


class Process:
    """An update whose duration a test chooses."""

    def __init__(self) -> None:
        self.ended = False

    def poll(self) -> int | None:
        return 0 if self.ended else None


def test_results_are_renewed_after_each_table_and_hourly_if_anything_was_finished(first: Snapshot) -> None:
    begun: list[Process] = []

    def begin() -> Process:
        begun.append(Process())
        return begun[-1]

    def look(seconds: float, *done: str) -> int:
        state = ["done" if id_ in done else "waiting" for id_ in first.work.index]
        renewal(replace(first, time=first.time + seconds, work=first.work.assign(state=state)))
        return len(begun)

    renewal = Renewal(begin)  # type: ignore[arg-type]
    assert look(0) == look(10) == look(HOUR + 1) == 0  # there is nothing new
    assert look(HOUR + 2, SEARCH) == 1  # more than an hour after the start
    assert look(HOUR + 3, SEARCH, TABLE) == 1  # one update at a time
    begun[0].ended = True
    assert look(HOUR + 4, SEARCH, TABLE) == look(HOUR + 5, SEARCH, TABLE) == 2  # a table


def said(start: Start, root: Path, output: int) -> "subprocess.Popen[str]":
    """A process that only prints that it made the results."""
    return subprocess.Popen([sys.executable, "-c", "print('the results')"], stdout=output, text=True)


def start_of(folder: Path, status: int, monkeypatch: pytest.MonkeyPatch) -> Start:
    """A start whose Snakemake prints a line and ends with a status; its results are a line."""
    start = Start(
        folder, (), ("-c", f"print('Snakemake says this'); raise SystemExit({status})"), False, False, "again"
    )
    monkeypatch.setattr(live_run, "read_plan", lambda source, root: CONTENT)
    monkeypatch.setattr(live_run, "SNAKEMAKE", ())
    monkeypatch.setattr(live_run, "_begin_results", said)
    return start


def test_snakemakes_output_goes_to_a_log_and_the_end_says_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start = start_of(tmp_path, 1, monkeypatch)
    assert live_run.run(start, Path("a.yaml"), tmp_path) == 1
    said = capfd.readouterr()
    (log,) = tmp_path.glob("logs/micro/snakemake-*.log")
    assert log.read_text() == "Snakemake says this\n" and f"Snakemake's output: {log}" in said.out
    assert "the results" in said.out and "Snakemake says this" not in said.out and "\x1b" not in said.out
    *_, tail, end = said.err.splitlines()
    assert tail.strip() == "Snakemake says this" and end.endswith("To continue: again") and "0 of" in end


def test_verbose_brings_snakemakes_output_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start = start_of(tmp_path, 0, monkeypatch)
    assert live_run.run(start, Path("a.yaml"), tmp_path, verbose=True) == 0
    said = capfd.readouterr()
    assert "Snakemake says this" in said.out and "waiting" not in said.out and not said.err


def test_a_failed_run_is_reported_again_at_the_end(tmp_path: Path) -> None:
    run = next(run for run in PLAN.runs.values() if run.id == SEARCH)
    write_text(log_of(tmp_path, run), f"error: search {run.name}: the loss is not finite\n")
    _, reason, log, end = live_run._reasons(Watch(CONTENT, tmp_path), Path("none.log"), "the same")
    assert reason.endswith(": the loss is not finite") and reason.startswith("search · digits")
    assert log.strip() == str(log_of(tmp_path, run)) and end.endswith("To continue: the same")


def test_a_record_that_cannot_be_read_stops_the_display_and_not_the_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start = start_of(tmp_path, 0, monkeypatch)
    broken = tmp_path / "runs" / "search" / "a-1" / "manifest.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    assert live_run.run(start, Path("a.yaml"), tmp_path) == 0
    said = capfd.readouterr()
    assert "the progress cannot be shown" in said.err and "the results" in said.out
    assert [log.read_text() for log in tmp_path.glob("logs/micro/*.log")] == ["Snakemake says this\n"]
