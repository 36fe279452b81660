"""The runs of a plan with all that went into each: what every number on the page leads to.

Design choices: what many runs share, versions and image, stands once as an environment that the runs name; commits are
listed with their runs, since a run of another commit counts (its identity covers its code) and a reader should see it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dropnas.report.page.survey import Found
from dropnas.runs.authenticity import machines

COMMIT = 10  # shown digits of a commit
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class PageRun:
    """A run: what it is, how far it is, and what went into it; empty where it is not done."""

    id: str
    name: str
    stage: str
    state: str
    reason: str
    folder: str
    seed: str
    device: str
    minutes: str
    ended: str
    commit: str
    environment: int
    inputs: tuple[tuple[str, str], ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """What several runs were computed with: Python, packages, image and threads, and on which devices."""

    number: int
    python: str
    versions: str
    image: str
    threads: str
    devices: str
    runs: int


@dataclass(frozen=True)
class Commit:
    """A state of the code that runs were computed with."""

    commit: str
    dirty: bool
    runs: int


def page_runs(found: Mapping[str, Found]) -> list[PageRun]:
    """All runs, in the plan's order."""
    numbered = {key: number for number, key in enumerate(_environments(found.values()), 1)}
    return [_run(one, found, numbered) for one in found.values()]


def environments(found: Mapping[str, Found]) -> list[Environment]:
    """The distinct environments of the runs that count, in the order in which the runs name them."""
    return [
        Environment(number, *key, "; ".join(sorted(devices)), sum(devices.values()))
        for number, (key, devices) in enumerate(_environments(found.values()).items(), 1)
    ]


def commits(found: Mapping[str, Found]) -> list[Commit]:
    """The commits of the runs that count, those with most runs first."""
    counted = Counter(_git(one.record) for one in found.values() if one.counts)
    return [Commit(commit, dirty, count) for (commit, dirty), count in counted.most_common()]


def _run(one: Found, found: Mapping[str, Found], numbered: Mapping[Any, int]) -> PageRun:
    record = one.record
    commit, dirty = _git(record) if record else ("", False)
    return PageRun(
        id=one.run.id,
        name=one.run.name,
        stage=one.run.stage,
        state=one.state,
        reason=one.reason,
        folder=one.run.folder,
        seed=str(one.run.config.get("seed", "")),
        device=_device(record),
        minutes=f"{record['seconds'] / 60:.1f}" if _is_number(record.get("seconds")) else "",
        ended=str(record.get("ended", "")),
        commit=commit + (" (changed)" if dirty else ""),
        environment=numbered[_environment(record)] if one.counts else 0,
        inputs=tuple((id_, found[id_].run.name) for id_ in one.run.inputs),
        used_by=one.run.used_by,
    )


def _device(record: Mapping[str, Any]) -> str:
    """Where a run was computed; all machines where it moved in its midst."""
    several = machines(record)
    return (
        f"{', then '.join(several)}: the bytes are those of neither" if several[1:] else str(record.get("device", ""))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _git(record: Mapping[str, Any]) -> tuple[str, bool]:
    git = record.get("git") or {}
    return str(git.get("commit", ""))[:COMMIT] or UNKNOWN, bool(git.get("dirty", False))


def _environments(found: Iterable[Found]) -> dict[tuple[str, str, str, str], Counter[str]]:
    """How many runs each environment has, by device."""
    devices: dict[tuple[str, str, str, str], Counter[str]] = {}
    for one in found:
        if one.counts:
            devices.setdefault(_environment(one.record), Counter())[str(one.record.get("device", UNKNOWN))] += 1
    return devices


def _environment(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted((record.get("versions") or {}).items()))
    return str(record.get("python", UNKNOWN)), versions, str(record.get("image", "")), str(record.get("threads", ""))
