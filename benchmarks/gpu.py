"""All GPU measurements in ten minutes, the most informative first: `make gpu`, or `python -m benchmarks gpu`.

Design choices: each part is a separate process, because a failed assertion on the device makes CUDA unusable for the
rest of the process. Each part has a time limit; unused time goes to later parts. Each part writes its results piece by
piece, so that a part that is cut short keeps them. A failed part does not stop the others. All parts share a cache of
compiled kernels that starts empty, unless TRITON_CACHE_DIR names another one. `--device cpu` rehearses everything at a
small size. This module needs only Python.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._results import FAILED, has_failed, write_results
from benchmarks._summary import Outcome, summary
from dropnas.errors import DropnasError
from dropnas.runs.files import read_json, write_text

PROJECT = Path(__file__).parents[1]
DEFAULT, SUMMARY = "results/benchmarks/gpu-%Y-%m-%d-%H%M", "summary.txt"
CACHE = "TRITON_CACHE_DIR"


@dataclass(frozen=True)
class Part:
    """A part of the measurements.

    Attributes:
        seconds: seconds reserved for it.
        command: arguments for Python; `--device` and `--json` are added.
        small: additional arguments for a rehearsal on a CPU.
    """

    name: str
    seconds: float
    command: tuple[str, ...]
    small: tuple[str, ...] = ()


def _part(name: str, seconds: float, benchmark: str, *options: str, tiny: bool = True) -> Part:
    return Part(name, seconds, ("-m", "benchmarks", benchmark, *options), ("--tiny",) if tiny else ())


PARTS = (
    _part("machine", 10, "machine", tiny=False),
    _part("tests", 90, "gpu-tests", tiny=False),
    _part("micro", 60, "micro"),
    _part("one-seed", 90, "search-step", "--only", "one"),
    _part("seeds", 60, "search-step", "--only", "seeds"),
    _part("precisions", 40, "search-step", "--only", "precisions"),
    _part("retraining", 90, "retrain-step", "--only", "layouts"),
    _part("ncu", 60, "ncu", tiny=False),
    _part("numerics", 40, "numerics"),
)


def run(out: Path | None, seconds: float, device: str, parts: Sequence[Part] = PARTS) -> int:
    """Run the parts, and write and print their results; return the exit status, 1 if a part failed.

    Args:
        out: folder for summary.txt, and for a JSON file and a log of each part; by default, the name of the folder
            contains the current time.
        seconds: total time in seconds.
        device: torch device string; `cpu` runs a rehearsal.
    """
    folder, began = (out or Path(time.strftime(DEFAULT))).resolve(), time.monotonic()
    outcomes, text = list[Outcome](), ""
    for outcome in _outcomes(parts, folder, device, ends=began + seconds):
        print(f"{outcome.name}: {outcome.status} {outcome.reason}".rstrip(), file=sys.stderr, flush=True)
        outcomes.append(outcome)
        text = summary(outcomes, device, time.monotonic() - began, seconds)
        write_text(folder / SUMMARY, text)
    print(text, end="")
    return int(any(outcome.status == "failed" for outcome in outcomes))


def _outcomes(parts: Sequence[Part], folder: Path, device: str, ends: float) -> Iterator[Outcome]:
    """Yield the outcome of each part. Earlier results in the folder are removed first."""
    files = [folder / f"{number}-{part.name}.json" for number, part in enumerate(parts, start=1)]
    for old in (folder / SUMMARY, *files):
        old.unlink(missing_ok=True)
    with _cache() as environment:
        for number, (part, file) in enumerate(zip(parts, files, strict=True), start=1):
            left = ends - time.monotonic()
            limit = max(min(part.seconds, left), left - sum(later.seconds for later in parts[number:]))
            outcome = _outcome(part, file, device, limit, environment)
            write_results(file, outcome.results | {"part": vars(replace(outcome, results={}))})
            yield outcome


@contextmanager
def _cache() -> Iterator[dict[str, str]]:
    """Yield the environment variables for the parts. TRITON_CACHE_DIR is a temporary folder unless it was set."""
    with tempfile.TemporaryDirectory() as folder:
        yield {CACHE: folder, **os.environ}


def _outcome(part: Part, file: Path, device: str, limit: float, environment: dict[str, str]) -> Outcome:
    """Run a part that may take up to `limit` seconds; return its outcome."""
    if limit <= 0:
        return Outcome(part.name, "skipped", reason="no time left")
    small = part.small if device == "cpu" else ()
    command = [sys.executable, *part.command, *small, "--device", device, "--json", str(file)]
    log, began = file.with_suffix(".log"), time.monotonic()
    status = _status(command, log, limit, environment)
    seconds = round(time.monotonic() - began, 1)
    results, unread = _results(file)
    if status is None and limit < part.seconds:
        return Outcome(part.name, "cut short", seconds, "the time limit was reached", results)
    if reason := _failure(status, results, limit, log) or unread:
        return Outcome(part.name, "failed", seconds, reason, results)
    return Outcome(part.name, "done", seconds, "", results)


def _status(command: list[str], log: Path, limit: float, environment: dict[str, str]) -> int | None:
    """Run a process; return its exit status, or None at the time limit. Its descendants are killed at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        job = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            return job.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()


def _results(file: Path) -> tuple[dict[str, Any], str]:
    """The results of a part, and an error message, which is empty if the results could be read."""
    if not file.is_file():
        return {}, "it wrote no results"
    try:
        found: dict[str, Any] = read_json(file)
    except DropnasError as error:
        return {}, str(error)
    return found, ""


def _failure(status: int | None, results: dict[str, Any], limit: float, log: Path) -> str:
    """The reason why a part failed, in one line, or an empty string if it did not fail."""
    if status is None:
        return f"ran past {limit:.0f} s"
    if FAILED in results:
        return str(results[FAILED])
    for piece, found in results.items():
        if has_failed(found):
            return f"{piece}: {found[FAILED]}"
    if status == 0:
        return ""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with status {status}"
