"""Device-hours of tables, figures and the plan, and what they rest on.

A target costs all of its own runs. It adds what the targets above it do not cost already, so the column of added hours
sums to the total.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropnas.config import Machine
from dropnas.data.config import DATASETS
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.monitor.estimate import Estimate, Hours, Known, read_known
from dropnas.parsing import parse
from dropnas.report.page.planned import Content
from dropnas.report.page.progress import PageCost
from dropnas.runs.identity import resolved
from dropnas.search.config import SearchConfig

# The authors' speed in GPU-days of a V100: the printed "search cost" (Tables 1, 2), and about a day for a retraining,
# as users of DARTS' networks report. The paper does not say what ImageNet cost.
AUTHORS_RETRAINING_DAYS = 1.0
SIZE = ("cells", "channels", "batch_size")  # of the paper's networks
NOT_INCLUDED = "Queueing, start-up and runs that train nothing are not included"
Runs = Sequence[dict[str, Any]]  # as plan.json describes them
READY_IMAGES = "; the probe's transfers neither decode nor augment images"


@dataclass(frozen=True)
class Cost:
    """Device-hours of all runs of a target, of those that no target above has, and of those that are not done."""

    hours: Hours
    added: Hours
    left: Hours


def target_costs(runs: Runs, estimates: Mapping[str, Estimate], targets: Iterable[str]) -> dict[str, Cost]:
    """The cost of each target, in this order."""
    costs, seen = dict[str, Cost](), set[str]()
    for target in targets:
        own = {run["id"]: estimates[run["id"]] for run in runs if target in run["used_by"]}
        added = Hours.of(estimate for id_, estimate in own.items() if id_ not in seen)
        costs[target] = Cost(Hours.of(own.values()), added, Hours.left(own.values()))
        seen |= set(own)
    return costs


def total_cost(runs: Runs, estimates: Mapping[str, Estimate]) -> Cost:
    """The cost of all runs, each once."""
    own = [estimates[run["id"]] for run in runs]
    return Cost(Hours.of(own), Hours.of(own), Hours.left(own))


def page_cost(content: Content, root: Path) -> PageCost:
    """The cost of a plan for the report page; if a record is damaged, the note names it instead."""
    runs = [vars(run) for run in content.runs.values()]
    default = [vars(run) for run in content.runs.values() if content.by_default(run)]
    try:
        known = read_known(root, parse(Machine, content.machine, "machine"))
        estimates = known.estimates(runs)
    except DropnasError as error:
        return PageCost({}, None, f"No hours, since a record cannot be read: {error}.")
    note = " ".join(basis_lines(known, default, estimates))
    unit = known.device.unit if known.device else PageCost.unit
    return PageCost(target_costs(runs, estimates, content.folders), total_cost(default, estimates), note, unit)


def basis_lines(known: Known, runs: Runs, estimates: Mapping[str, Estimate]) -> list[str]:
    """What the hours of runs rest on, in sentences."""
    basis, lines = Counter(estimates[run["id"]].basis for run in runs), []
    used = [f"{basis['took']} finished runs as measured"] if basis["took"] else []
    if alike := basis["equal runs"] + basis["same kind"]:
        used.append(f"{alike} estimated from finished runs of their kind")
    if basis["probe"]:
        last, spread = known.measured[-1], max(one.spread for one in known.measured)
        how = f"(spread up to {spread:.0%}, load {last.load:.1f} on {last.cpus} CPUs)"
        used.append(f"{basis['probe']} by the probe of {last.date[:10]} {how}")
    if known.device and used:
        left_out = NOT_INCLUDED + READY_IMAGES * bool(basis["probe"])
        lines.append(f"{known.device.unit} on {known.device.label}: {', '.join(used)}. {left_out}.")
    if basis["unknown"]:
        lines.append(f"The hours of {basis['unknown']} trainings are unknown; run plan --measure (about a minute).")
    return lines


def authors_days(runs: Runs) -> dict[str, float]:
    """V100-days of the searches and retrainings of the paper's networks by their ids, at the authors' speed."""
    datasets = {run["id"]: run["config"]["name"] for run in runs if run["stage"] == "data"}
    papers = {"search": resolved(SearchConfig()), "retrain": resolved(RetrainConfig())}
    days = {}
    for run in runs:
        paper, config = papers.get(run["stage"]), run["config"]
        if paper and all(config[name] == paper[name] for name in SIZE):
            search = getattr(DATASETS.get(datasets[run["inputs"][0]]), "search_days", 0.0)
            one = search if run["stage"] == "search" else AUTHORS_RETRAINING_DAYS
            days[run["id"]] = one * config["epochs"] / paper["epochs"]
    return days
