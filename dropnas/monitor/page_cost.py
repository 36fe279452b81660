"""The device-hours of a plan's targets for the report page, the same as the verb `plan` shows."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Known, read_known
from dropnas.monitor.totals import target_costs, whole_cost
from dropnas.parsing import parse
from dropnas.report.page.device_hours import PageCost
from dropnas.report.page.planned import Content


def page_cost(content: Content, root: Path) -> PageCost:
    """The cost of a plan; where a record that it rests on is damaged, which one is in the note."""
    runs = [{**vars(run), "inputs": list(run.inputs), "used_by": list(run.used_by)} for run in content.runs.values()]
    default = [run for run, planned in zip(runs, content.runs.values(), strict=True) if content.by_default(planned)]
    try:
        known = read_known(root, parse(Machine, content.machine, "machine"))
        estimates = known.estimates(runs)
    except DropnasError as error:
        return PageCost({}, None, f"Hours are not told, since a record that they rest on cannot be read: {error}.")
    targets = target_costs(runs, estimates, content.folders)
    return PageCost(targets, whole_cost(default, estimates), _note(known, default, estimates))


def _note(known: Known, runs: Sequence[dict[str, Any]], estimates: Any) -> str:
    basis = Counter(estimates[run["id"]].basis for run in runs)
    device = known.device.label if known.device else ""
    told = (
        f"Device-hours on {device}: of a finished run what it took, of others" if device else "Device-hours: of others"
    )
    missing = f" The hours of {basis['unknown']} trainings are unknown (?)." if basis["unknown"] else ""
    return f"{told} what finished runs or a probe of their kind say. Queueing and start-up are not in them.{missing}"
