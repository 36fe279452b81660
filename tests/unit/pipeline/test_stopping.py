"""A signal to the head reaches all processes that it started: the first one asks to save, the second one kills."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
HEAD = """
import sys
from dropnas.pipeline.start import until_stopped
sys.exit(until_stopped([sys.executable, sys.argv[1]], {}, "the same again"))
"""
WORKFLOW = """
import signal, subprocess, sys
from pathlib import Path
signal.signal(signal.SIGTERM, lambda number, frame: None)  # as Snakemake, which waits for its jobs
logged = ["bash", "{logged}", "{folder}/job.log", "{folder}/done", "1", "1", "job.attempts", "/dev/null"]
job = subprocess.Popen([*logged, sys.executable, "{folder}/training.py"])
sys.exit(job.wait())
"""
TRAINING = """
import os, sys, time
from pathlib import Path
from dropnas.training import signals
folder = Path("{folder}")
with signals.caught() as asked:
    (folder / "begun.new").write_text(str(os.getpid()))
    (folder / "begun.new").rename(folder / "begun")
    while not asked() or {deaf}:
        time.sleep(0.01)
(folder / "saved").write_text("")
sys.exit(signals.EXIT_STOPPED)
"""


def wait_for(condition, head: subprocess.Popen) -> None:
    while not condition():
        assert head.poll() is None
        time.sleep(0.01)


def start(folder: Path, *, deaf: bool) -> subprocess.Popen:
    logged = REPOSITORY / "workflow" / "scripts" / "logged.sh"
    (folder / "workflow.py").write_text(WORKFLOW.format(folder=folder, logged=logged))
    (folder / "training.py").write_text(TRAINING.format(folder=folder, deaf=deaf))
    head = subprocess.Popen(
        [sys.executable, "-c", HEAD, str(folder / "workflow.py")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for((folder / "begun").exists, head)
    return head


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_saves_and_says_how_to_go_on(tmp_path: Path, number: int) -> None:
    head = start(tmp_path, deaf=False)
    head.send_signal(number)
    _, err = head.communicate()
    assert head.returncode == 128 + number and (tmp_path / "saved").exists()
    assert err.splitlines()[-1] == "stopped; the trainings saved their state. To continue: the same again"
    assert "Traceback" not in err and is_gone(int((tmp_path / "begun").read_text()))


def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    head = start(tmp_path, deaf=True)
    head.send_signal(signal.SIGINT)
    assert head.stderr is not None and "a second signal" in head.stderr.readline()
    head.send_signal(signal.SIGINT)
    _, err = head.communicate()
    assert err.splitlines()[-1] == "killed; the last checkpoints remain. To continue: the same again"
    training = int((tmp_path / "begun").read_text())
    while not is_gone(training):  # it was killed, but the system may need a moment
        time.sleep(0.01)
    assert head.returncode == 128 + signal.SIGINT and not (tmp_path / "saved").exists()


def test_each_attempt_is_logged_under_its_number_and_time(tmp_path: Path) -> None:
    logged = REPOSITORY / "workflow" / "scripts" / "logged.sh"
    log = tmp_path / "logs" / "job.log"
    command = ["bash", str(logged), str(log), str(tmp_path / "done"), "1", "1", "job-1.attempts", "/dev/null"]
    done = [
        subprocess.run(
            [*command, "bash", "-c", f"echo error {number}; exit 3"],
            capture_output=True,
            text=True,
            check=False,
        )
        for number in (1, 2)
    ]
    assert [one.returncode for one in done] == [3, 3]
    heads = [line for line in log.read_text().splitlines() if line.startswith("=== attempt ")]
    assert [head.split(",")[0] for head in heads] == ["=== attempt 1", "=== attempt 2"]
    assert all(head.endswith("Z ===") for head in heads)
    assert log.readlink() == Path("job-1.attempts") and not (tmp_path / "done").exists()
    assert "attempt 2" in done[1].stderr and "error 2" in done[1].stderr and "error 1" not in done[1].stderr


def test_only_a_job_that_succeeds_leaves_its_marker_and_it_shows_the_result(tmp_path: Path) -> None:
    logged = REPOSITORY / "workflow" / "scripts" / "logged.sh"
    log, marker, result = tmp_path / "logs" / "job.log", tmp_path / "done", tmp_path / "result.csv"
    result.write_text("a,b")
    threads = 'test "$OMP_NUM_THREADS" = 2'  # of four threads, for each of two processes
    for command, shown, content in (("exit 3", result, None), (threads, result, "a,b"), ("true", "gone.svg", "")):
        marker.unlink(missing_ok=True)
        arguments = [logged, log, marker, "4", "2", "job-1.attempts", shown, "bash", "-c", command]
        subprocess.run(["bash", *map(str, arguments)], capture_output=True, check=False)
        assert (marker.read_text() if marker.exists() else None) == content
