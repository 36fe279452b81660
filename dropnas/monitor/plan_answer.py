"""What the verb `plan` answers: the runs, their cost, a measurement, a budget."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropnas.config import read_parameters
from dropnas.monitor.cost_notes import Prices, notes
from dropnas.monitor.estimate import read_known
from dropnas.monitor.measure_and_fit import fit, measure_plan
from dropnas.monitor.plan_view import describe_runs, print_plan, print_runs
from dropnas.monitor.totals import target_costs, whole_cost
from dropnas.pipeline.plan import make_plan


@dataclass(frozen=True)
class Question:
    """The options of the verb `plan`."""

    file: Path
    root: Path
    as_json: bool
    each: bool
    everything: bool
    measure: bool
    device: str
    prices: Prices
    budget: float | None
    out: Path | None


def answer(asked: Question, tell: Callable[[str], None]) -> None:
    """Answer it on standard output; with --json nothing else is written there.

    Raises:
        DropnasError: wrong parameters, a damaged manifest, an unknown device, or a budget that nothing fits into.
    """
    settings = read_parameters(asked.file)
    plan = make_plan(settings)
    runs = describe_runs(plan, asked.root)
    known = read_known(asked.root, settings.machine, "" if asked.measure else asked.device)
    if asked.measure:
        measure_plan(known, runs, settings, (lambda line: None) if asked.as_json else tell)
        known = read_known(asked.root, settings.machine, asked.device)
    estimates = known.estimates(runs)
    default = [run for run in runs if set(run["used_by"]) - plan.on_request]
    shown = runs if asked.everything else default
    if asked.as_json:
        tell(json.dumps([{**run, "hours": estimates[run["id"]].hours} for run in shown], indent=1))
    elif asked.each:
        print_runs(shown)
    elif asked.budget is not None:
        for line in fit(known, settings, asked.file, asked.budget, asked.out):
            tell(line)
    else:
        whole = whole_cost(default, estimates)
        costs = target_costs(runs, estimates, plan.targets)
        below = notes(plan, known, default, estimates, whole.left, asked.prices)
        print_plan(plan, runs, costs, whole, below, requested=asked.everything)
