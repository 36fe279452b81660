"""Runs the tests marked `gpu` in one process per file, so that a failed device assertion affects no other file.

Design choices: test files are found by searching for the marker. Files whose names contain a word in `LAST` run last,
because they compile longest. No file may take more than twice its share of the time, so that a file that hangs leaves
time for the others. Without a GPU, all tests are skipped; this still shows that the files can be imported on the
machine.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks._results import FAILED, LEFT_OUT
from dropnas.errors import DropnasError

PROJECT = Path(__file__).parents[1]
MARKER = re.compile(r"pytest\.mark\.gpu\b")
LAST = ("fused",)
SECONDS, GRACE = 80.0, 3.0  # time for all files together; time for an interrupted file to write its results
SHARES = 2.0


def measure(device: str) -> Iterator[tuple[str, Any]]:
    """The number of passed, failed and skipped tests in each file, with the reasons."""
    files, ends = marked(PROJECT / "tests"), time.monotonic() + SECONDS
    if not files:
        raise DropnasError("no test is marked gpu", where=PROJECT / "tests")
    for number, file in enumerate(files):
        left = ends - time.monotonic()
        limit = min(left, SHARES * left / (len(files) - number))
        found = outcomes_of(file, limit) if limit > 0 else {LEFT_OUT: "no time left"}
        yield str(file.relative_to(PROJECT / "tests")), found


def marked(folder: Path) -> list[Path]:
    """The files with the marker, in the order in which they run."""
    found = [file for file in sorted(folder.rglob("test_*.py")) if MARKER.search(file.read_text(encoding="utf-8"))]
    return sorted(found, key=lambda file: any(word in file.name for word in LAST))


def outcomes_of(file: Path, limit: float) -> dict[str, Any]:
    """The results of a file's marked tests; if it takes too long, the results so far."""
    with tempfile.TemporaryDirectory() as folder:
        report, started = Path(folder) / "report.xml", time.monotonic()
        options = ["-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, str(file)]
        status = _status(subprocess.Popen(command, cwd=PROJECT, stdout=sys.stderr), limit)
        found = {**(counted(report) if report.is_file() else {}), "seconds": round(time.monotonic() - started, 1)}
    if status is None:
        return {**found, FAILED: f"ran past {limit:.0f} s"}
    if status and FAILED not in found:
        return {**found, FAILED: f"pytest ended with status {status}"}
    return found


def _status(job: subprocess.Popen[bytes], limit: float) -> int | None:
    """The exit status, or None if the process ran too long and was interrupted; pytest then writes partial results."""
    try:
        return job.wait(limit)
    except subprocess.TimeoutExpired:
        job.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            job.wait(GRACE)
        return None
    finally:
        job.kill()
        job.wait()


def counted(report: Path) -> dict[str, Any]:
    """The number of tests with each outcome, and a one-line reason for each failed or skipped test."""
    outcomes, reasons, failed = {"passed": 0, "failures": 0, "skipped": 0}, dict[str, str](), list[str]()
    for case in ElementTree.parse(report).iterfind(".//testcase[@name]"):  # an interrupted test has no name
        problem = next((each for each in case if each.tag in ("failure", "error", "skipped")), None)
        outcome = "passed" if problem is None else "skipped" if problem.tag == "skipped" else "failures"
        outcomes[outcome] += 1
        if problem is not None:
            said = _said(problem)
            reasons[str(case.get("name"))] = said
            failed += [f"{case.get('name')}: {said}"] if outcome == "failures" else []
    return {**outcomes, "reasons": reasons, **({FAILED: failed[0]} if failed else {})}


def _said(problem: ElementTree.Element) -> str:
    """The first line of a test's message; if the file could not be imported, the error."""
    errors = [line.removeprefix("E").strip() for line in (problem.text or "").splitlines() if line.startswith("E ")]
    message = (problem.get("message") or problem.tag).strip()
    return errors[-1] if message == "collection failure" and errors else message.partition("\n")[0]
