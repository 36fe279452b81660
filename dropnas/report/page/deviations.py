"""The deviations from the paper, from the options in use: one line each, in plain words.

Design choices: `deviations.yaml` has the sentences, for each option that the paper's text leaves open or that changes
the meaning of a number. The configurations of the plan's runs decide which of them are shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pandas import DataFrame

from dropnas.analysis.drop_rates import GROUP, SPECIAL, effective
from dropnas.data.config import ROLES
from dropnas.report.page.planned import Planned
from dropnas.space.spaces import find_space

RATE = 3e-5  # DropNAS' rate, if a search does not set one
RATES = ("rate_parameterised", "rate_non_parameterised")
Deviation = tuple[str, str, str]  # the question, the paper's text, and the choice made here


def deviations(runs: Sequence[Planned]) -> DataFrame:
    """The questions that concern the runs of a plan."""
    margins = ", ".join(f"±{known.margin:g} points on {known.printed}" for known in ROLES.values())
    equal = ("What counts as equal", "Not stated.", f"A difference shown to lie within {margins}.")
    found = [equal, *(one for entry in entries() for one in _deviation(entry, runs))]
    return DataFrame(found, columns=["What", "The paper", "Here"])


def drop_rates(runs: Sequence[Planned]) -> DataFrame:
    """The drop probabilities of the searches of a plan, lowest first, and the expected number of kept operations.

    At least one operation of a group is kept: the group is drawn again until one remains.
    """
    found = sorted({pair for run in runs if run.stage == "search" for pair in _nominal(run)})
    dropped = [effective(*pair) for pair in found]
    kept = (2 * group * (1 - share) for (_, group), share in zip(found, dropped, strict=True))
    return DataFrame(
        {
            "Nominal p_d": [f"{nominal:.3f}" for nominal, _ in found],
            "Operations of the group": [group for _, group in found],
            "Dropped in effect": [f"{share:.3f}" for share in dropped],
            "Kept on an edge of two such groups": [
                f"{number:.2f} of {2 * group}" for number, (_, group) in zip(kept, found, strict=True)
            ],
        }
    )


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
    """One deviation for each value in use."""
    stage, *keys = entry["option"].split(".")
    values = [_value(run.config, keys, entry["default"]) for run in runs if run.stage == stage and _own(run)]
    for value in dict.fromkeys(map(_text, values)):
        here = entry["here"].get(value, "")
        if here or value != _text(entry["default"]):
            yield entry["question"], entry["paper"], here or f"{entry['option']} = {value}."


def _own(run: Planned) -> bool:
    """Whether a run is of DropNAS; baselines make their own choices."""
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
def entries() -> list[dict[str, Any]]:
    """The entries of `deviations.yaml`, in order."""
    found: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("deviations.yaml").read_text("utf-8"))
    return found
