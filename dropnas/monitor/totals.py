"""The cost of tables, figures and the whole.

Design choices: a target costs all of its own runs; what it adds is what the targets above it do not cost already, so
that the column of added hours sums to the whole. Unknown hours are counted as runs, never as zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropnas.data.config import ROLES
from dropnas.evaluate.config import RetrainConfig
from dropnas.monitor.estimate import Estimate
from dropnas.runs.identity import resolved
from dropnas.search.config import SearchConfig

# About a day of a V100 for the 600 epochs of a retraining, as users of DARTS' networks report. What a search took is
# the "search cost" of Tables 1 and 2. The authors say nothing of what ImageNet cost them.
AUTHORS_RETRAINING_DAYS = 1.0
SIZE = ("cells", "channels", "batch_size")  # what makes a network one of the paper's


@dataclass(frozen=True)
class Hours:
    """Device-hours: those that are known, and how many runs' are not."""

    known: float = 0.0
    unknown: int = 0

    def __add__(self, other: "Hours") -> "Hours":
        return Hours(self.known + other.known, self.unknown + other.unknown)

    def __str__(self) -> str:
        """Three digits; `?` where nothing is known, `> 12.3` where a part is."""
        if self.unknown:
            return f"> {number(self.known)}" if self.known else "?"
        return number(self.known)


def number(hours: float) -> str:
    """Hours with the digits that an estimate has."""
    digits = 0 if hours >= 100 or hours == 0 else 1 if hours >= 10 else 2 if hours >= 0.1 else 3
    return f"{hours:,.{digits}f}"


@dataclass(frozen=True)
class Cost:
    """What a target costs: all its runs, those that no target above has, and of all those that are not done."""

    hours: Hours
    added: Hours
    left: Hours


def total(estimates: Iterable[Estimate]) -> Hours:
    """The sum of estimates."""
    hours = [estimate.hours for estimate in estimates]
    return Hours(sum(known for known in hours if known is not None), hours.count(None))


def target_costs(
    runs: Sequence[dict[str, Any]], estimates: Mapping[str, Estimate], targets: Iterable[str]
) -> dict[str, Cost]:
    """The cost of each target, in this order."""
    seen: set[str] = set()
    costs = {}
    for target in targets:
        own = [run["id"] for run in runs if target in run["used_by"]]
        costs[target] = Cost(
            total(estimates[id_] for id_ in own),
            total(estimates[id_] for id_ in own if id_ not in seen),
            left(estimates[id_] for id_ in own),
        )
        seen |= set(own)
    return costs


def whole_cost(runs: Sequence[dict[str, Any]], estimates: Mapping[str, Estimate]) -> Cost:
    """The cost of all runs, each once."""
    own = [estimates[run["id"]] for run in runs]
    return Cost(total(own), total(own), left(own))


def left(estimates: Iterable[Estimate]) -> Hours:
    """Hours of the runs that are not done."""
    return total(estimate for estimate in estimates if estimate.basis != "took")


def authors_days(runs: Sequence[dict[str, Any]]) -> float:
    """V100-days of the searches and retrainings with the paper's networks, at its authors' speed."""
    datasets = {run["id"]: run["config"]["name"] for run in runs if run["stage"] == "data"}
    days = 0.0
    for run in runs:
        if run["stage"] == "search" and _paper_sized(run["config"], SearchConfig()):
            known = ROLES.get(datasets[run["inputs"][0]])
            days += known.search_days * run["config"]["epochs"] / SearchConfig().epochs if known else 0.0
        if run["stage"] == "retrain" and _paper_sized(run["config"], RetrainConfig()):
            days += AUTHORS_RETRAINING_DAYS * run["config"]["epochs"] / RetrainConfig().epochs
    return days


def _paper_sized(config: Mapping[str, Any], paper: Any) -> bool:
    return all(config[name] == resolved(paper)[name] for name in SIZE)
