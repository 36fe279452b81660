"""Reads the content of plan.json into the runs that the page shows.

Design choices: the page reads the plan as data, because a frozen plan may be older than this code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.report.config import TARGETS


@dataclass(frozen=True)
class Planned:
    """A run of a plan.

    Attributes:
        id: its id, which is a hash of its identity.
        name: its readable name.
        folder: its path, relative to the store's root.
        inputs: ids of the runs that it reads, in order.
        used_by: names of the tables and figures that depend on it.
        config: its stage's configuration as JSON values.
    """

    id: str
    stage: str
    name: str
    folder: str
    inputs: tuple[str, ...]
    used_by: tuple[str, ...]
    config: dict[str, Any]


@dataclass(frozen=True)
class Content:
    """A plan.

    Attributes:
        profile, description, reproduction: as in the parameter file.
        machine: the resources that the jobs may use, as in the parameter file.
        folders: the run folder of each table and figure, relative to the store's root, in the order of the page.
        on_request: names of the targets that are built only on request.
        runs: every run by its id, inputs first.
        looks: seeds at each look; empty if the number of seeds is fixed.
    """

    profile: str
    description: str
    reproduction: bool
    machine: dict[str, Any]
    folders: dict[str, str]
    on_request: tuple[str, ...]
    runs: dict[str, Planned]
    looks: tuple[int, ...] = ()

    def by_default(self, run: Planned) -> bool:
        """Whether a run is built without a request."""
        return not set(run.used_by) <= set(self.on_request)

    def target(self, name: str) -> Planned:
        """The run that makes a table or figure."""
        return next(run for run in self.runs.values() if run.folder == self.folders[name])


def parse_content(content: Mapping[str, Any], where: object) -> Content:
    """Convert a plan's content to a Content. Raises a DropnasError if a part is missing or has the wrong form."""
    order = list(TARGETS)
    try:
        known = sorted(content["folders"], key=lambda name: order.index(name) if name in order else len(order))
        folders = {name: content["folders"][name] for name in known}  # plan.json sorts by name
        runs = {run["id"]: run for run in content["runs"]}
        plan: Content = parse(Content, {**content, "folders": folders, "runs": runs}, where)
    except (DropnasError, KeyError, TypeError) as error:
        what = error.what if isinstance(error, DropnasError) else f"{error} is missing or has the wrong form"
        hint = "make the page from the parameter file, or freeze the plan again"
        raise DropnasError(f"is not a plan that the page can read ({what})", where=where, remedy=hint) from error
    if lost := sorted(set(plan.folders.values()) - {run.folder for run in plan.runs.values()}):
        raise DropnasError(f"no run {lost[0]} in the plan", where=where)
    return plan
