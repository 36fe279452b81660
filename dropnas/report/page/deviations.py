"""What was done differently from the paper, from the options in use: one line each, in plain words.

Design choice: the sentences lie in `deviations.yaml`, a line for each option that the paper's text leaves open or that
changes what a number means; which of them is shown follows from the configurations of the plan's runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dropnas.analysis.drop_rates import GROUP, SPECIAL, effective
from dropnas.data.config import ROLES
from dropnas.report.page.planned import Planned
from dropnas.space.spaces import find_space

RATE = 3e-5  # of DropNAS, where a search names none
RATES = ("rate_parameterised", "rate_non_parameterised")


@dataclass(frozen=True)
class Deviation:
    """A question, what the paper says, and what was done here."""

    question: str
    paper: str
    here: str


@dataclass(frozen=True)
class DropRate:
    """A nominal drop probability p_d, and what is left of it, since at least one operation of a group is kept.

    Attributes:
        nominal: p_d.
        group: operations of the group.
        effective: the share of its operations that is dropped.
        kept: how many operations of an edge with two such groups are kept.
    """

    nominal: float
    group: int
    effective: float
    kept: float


def deviations(runs: Sequence[Planned]) -> list[Deviation]:
    """The questions that concern the runs of a plan."""
    margins = ", ".join(f"±{known.margin:g} points on {known.printed}" for known in ROLES.values())
    return [
        Deviation("What counts as equal", "Not said.", f"A difference that is shown to lie within {margins}."),
        *(one for entry in _entries() for one in _deviation(entry, runs)),
    ]


def drop_rates(runs: Sequence[Planned]) -> list[DropRate]:
    """The drop probabilities of the searches of a plan, from the lowest."""
    found = {pair for run in runs if run.stage == "search" for pair in _nominal(run)}
    return [_rate(nominal, group) for nominal, group in sorted(found)]


def _rate(nominal: float, group: int) -> DropRate:
    """At least one of a group is kept: it is drawn again until one is."""
    dropped = effective(nominal, group)
    return DropRate(nominal, group, dropped, 2 * group * (1 - dropped))


def _nominal(run: Planned) -> Iterator[tuple[float, int]]:
    strategy, options = run.config["strategy"], run.config["options"]
    if SPECIAL.get(strategy):
        yield SPECIAL[strategy], GROUP
    if strategy == "dropnas":
        groups = find_space(run.config["space"]).groups
        for name, group in zip(RATES, groups, strict=True):
            size = GROUP if options.get("drop_probability") == "released" else len(group)
            yield round(float(options.get(name, RATE)) ** (1 / size), 4), len(group)


def _deviation(entry: Mapping[str, Any], runs: Sequence[Planned]) -> Iterator[Deviation]:
    """One for each value in use."""
    stage, *keys = entry["option"].split(".")
    values = [_value(run.config, keys, entry["default"]) for run in runs if run.stage == stage and _own(run)]
    for value in dict.fromkeys(map(_text, values)):
        here = entry["here"].get(value, "")
        if here or value != _text(entry["default"]):
            yield Deviation(entry["question"], entry["paper"], here or f"{entry['option']} = {value}.")


def _own(run: Planned) -> bool:
    """Baselines have choices of their own."""
    return run.stage != "search" or run.config["strategy"] == "dropnas"


def _value(config: Mapping[str, Any], keys: Sequence[str], default: object) -> object:
    found: Any = config
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return default
        found = found[key]
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("deviations.yaml").read_text(encoding="utf-8")
    )
    return entries
