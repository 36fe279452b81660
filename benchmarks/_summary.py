"""The table at the end of `make gpu`: plain text, 80 columns, a few lines for each measured piece."""

import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks._results import FAILED

COLUMNS, NAMES = 80, 34
LINES = 6  # maximum number of lines for a piece; the JSON file has all results
OWN = {"benchmark", "hardware", "threads", "torch", "part"}  # results that most parts share; the table omits them

Status = Literal["done", "failed", "cut short", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a part: its status, the reason in one line if it is not done, and its results."""

    name: str
    status: Status
    seconds: float = 0.0
    reason: str = ""
    results: dict[str, Any] = field(default_factory=dict)


def summary(outcomes: Sequence[Outcome], device: str, seconds: float, allowed: float) -> str:
    """Return the table as text."""
    hardware = next((each.results["hardware"] for each in outcomes if "hardware" in each.results), device)
    rehearsal = ", a rehearsal: the figures mean nothing" if device == "cpu" else ""
    lines = textwrap.wrap(f"{hardware}{rehearsal}, {time.strftime('%Y-%m-%d %H:%M')}", COLUMNS)
    lines.append(f"{seconds / 60:.1f} of {allowed / 60:g} minutes")
    for outcome in outcomes:
        lines += ["", *_part(outcome)]
    counts = Counter(each.status for each in outcomes)
    lines += ["", ", ".join(f"{count} {status}" for status, count in counts.items())]
    return "\n".join(lines) + "\n"


def _part(outcome: Outcome) -> Iterator[str]:
    said = outcome.status.upper() + (f": {outcome.reason}" if outcome.reason else "")
    yield from _row(f"{outcome.name}, {outcome.seconds:.0f} s", said)
    for piece, found in outcome.results.items():
        if piece not in OWN:
            yield from _row(piece, headline(found), "  ")


def _row(name: str, said: str, indent: str = "") -> list[str]:
    """A name and its text, in two columns."""
    left = textwrap.wrap(name, NAMES - 1, initial_indent=indent, subsequent_indent=2 * indent)
    right = textwrap.wrap(said, COLUMNS - NAMES, max_lines=LINES, placeholder=" ...") or [""]
    height = max(len(left), len(right))
    pairs = zip(left + [""] * (height - len(left)), right + [""] * (height - len(right)), strict=True)
    return [f"{one:<{NAMES}}{other}".rstrip() for one, other in pairs]


def headline(found: Any) -> str:
    """The most important figures of a piece."""
    if not isinstance(found, Mapping):
        return _short(found)
    if FAILED in found and len(found) > 1:
        return f"{headline({name: value for name, value in found.items() if name != FAILED})}: {found[FAILED]}"
    if "images/s" in found:
        return ", ".join(_of_a_pace(found))
    if "largest" in found:
        largest = ", ".join(f"{each['kernel'][:24]} {each['percent']} %" for each in found["largest"][:3])
        return f"{found['kernels']:,} kernels, {found['milliseconds']} ms: {largest}"
    if "passed" in found:
        return f"{found['passed']} passed, {found['failures']} failed, {found['skipped']} skipped"
    return ", ".join(f"{name} {_short(value)}" for name, value in found.items() if not isinstance(value, Mapping))


def _of_a_pace(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_short(found['images/s']['median'])} images/s"
    yield f"{found['milliseconds of a step']} ms a step"
    if "peak GB reserved" in found:
        yield f"{found['peak GB reserved']} GB"
    yield f"first step after {found['seconds to first step']} s"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
