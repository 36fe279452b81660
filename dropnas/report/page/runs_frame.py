"""Makes a pandas frame with one row for each run of a plan, and summarises it for the page."""

from collections.abc import Mapping
from typing import Any

import pandas
from pandas import DataFrame

from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found, PlannedState
from dropnas.runs.authenticity import machines

COMMIT = 10  # number of digits of a commit that are shown
NOT_RECORDED = "not recorded"
ENVIRONMENT = ["python", "packages", "image", "threads"]  # shared by many runs, so each environment is listed once


def runs_frame(content: Content, found: Mapping[str, Found]) -> DataFrame:
    """Make a data frame with one row for each run, in the order of the plan.

    The column `environment` is the number of the run's environment, or 0 if the run does not count. Environments are
    numbered from 1, in the order in which they first appear.
    """
    frame = DataFrame([_line(one, content.by_default(one.run)) for one in found.values()])
    numbers = done(frame).groupby(ENVIRONMENT, sort=False).ngroup() + 1
    return frame.assign(environment=numbers.reindex(frame.index, fill_value=0))


def done(runs: DataFrame) -> DataFrame:
    """The runs that count."""
    return runs[runs["state"] == PlannedState.DONE]


def environments(runs: DataFrame) -> DataFrame:
    """The distinct environments of the runs that count, with their devices and the number of their runs."""
    groups = done(runs).groupby(["environment", *ENVIRONMENT])
    found = groups.agg(devices=("device", lambda each: "; ".join(sorted(set(each)))), runs=("id", "size"))
    return found.reset_index()


def commits(runs: DataFrame) -> DataFrame:
    """For each commit and state of the checkout, the number of runs that count, in descending order."""
    counted = done(runs)[["commit", "checkout"]].value_counts()
    return counted.reset_index(name="runs").rename(columns=str.capitalize)


def targets(content: Content, runs: DataFrame) -> DataFrame:
    """For each table and figure, the number of its runs in each state, and the state of its last run (`built`)."""
    each = runs.explode("used_by")
    counts = pandas.crosstab(each["used_by"], each["state"])
    states = runs.set_index("id")["state"]
    built = [states[content.target(name).id] for name in content.folders]
    return counts.reindex(
        index=list(content.folders), columns=[str(state) for state in PlannedState], fill_value=0
    ).assign(built=built)


def _line(one: Found, default: bool) -> dict[str, Any]:
    record = one.record
    git, seconds = record.get("git") or {}, record.get("seconds")
    versions = sorted((record.get("versions") or {}).items())
    return {
        "id": one.run.id,
        "name": one.run.name,
        "folder": one.folder.name,
        "stage": one.run.stage,
        "state": str(one.state),
        "reason": one.reason,
        "unchecked": one.unchecked,
        "light": one.light,
        "default": default,
        "seed": str(one.run.config.get("seed", "")),
        "inputs": one.run.inputs,
        "used_by": one.run.used_by,
        "minutes": f"{seconds / 60:.1f}" if isinstance(seconds, int | float) else "",
        "started": str(record.get("started", "")),
        "ended": str(record.get("ended", "")),
        "device": str(record.get("device", "")),
        "moved": _moved(record),
        "commit": str(git.get("commit", ""))[:COMMIT] or NOT_RECORDED,
        "checkout": "changed since that commit" if git.get("dirty") else "as committed",
        "python": str(record.get("python", NOT_RECORDED)),
        "packages": ", ".join(f"{name} {version}" for name, version in versions),
        "image": str(record.get("image", "")),
        "threads": str(record.get("threads", "")),
    }


def _moved(record: Mapping[str, Any]) -> str:
    """A warning with the names of the machines if a run was continued on another machine; empty otherwise."""
    several = machines(record)
    return f"{', then '.join(several)}: its bytes match no single machine" if several[1:] else ""
