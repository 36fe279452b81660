"""Lists the deviations from the paper that result from the options in use, one line each, in plain words.

Design choices: `deviations.yaml` has sentences for each option that the paper's text leaves open or that changes the
meaning of a number. The configurations of the plan's runs decide which sentences are shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pandas import DataFrame

from dropnas.analysis.drop_rates import RATES_OF_METHODS, effective
from dropnas.data.config import ROLES
from dropnas.report.page.planned import Planned
from dropnas.space.names import GROUP_RATES, PAPER_GROUP
from dropnas.space.spaces import find_space

RATE = 3e-5  # the default rate of DropNAS


def deviations(runs: Sequence[Planned]) -> DataFrame:
    """Make a frame with one line for each deviation; the options in the runs of the plan determine which."""
    margins = ", ".join(f"±{known.margin:g} points on {known.printed}" for known in ROLES.values())
    lines = [("What counts as equal", "Not stated.", f"A difference shown to be within {margins}.")]
    for entry in entries():
        stage, *keys = entry["option"].split(".")
        used = [_value(run.config, keys, entry["default"]) for run in runs if run.stage == stage and _own(run)]
        for value in dict.fromkeys(map(_text, used)):
            other = "" if value == _text(entry["default"]) else f"{entry['option']} = {value}."
            if here := entry["here"].get(value, other):
                lines.append((entry["question"], entry["paper"], here))
    return DataFrame(lines, columns=["What", "The paper", "Here"])


def drop_rates(runs: Sequence[Planned]) -> DataFrame:
    """The drop probabilities of the searches of a plan, lowest first, and the expected number of kept operations.

    At least one operation of each group is kept, because the mask is drawn again until one remains.
    """
    lines = []
    for nominal, group in sorted({pair for run in runs if run.stage == "search" for pair in _nominal(run)}):
        dropped = effective(nominal, group)
        kept = f"{2 * group * (1 - dropped):.2f} of {2 * group}"
        lines.append((f"{nominal:.3f}", group, f"{dropped:.3f}", kept))
    heads = ["Nominal p_d", "Operations of the group", "Dropped in effect", "Kept on an edge of two such groups"]
    return DataFrame(lines, columns=heads)


def _nominal(run: Planned) -> Iterator[tuple[float, int]]:
    strategy, options = run.config["strategy"], run.config["options"]
    if RATES_OF_METHODS.get(strategy):
        yield RATES_OF_METHODS[strategy], PAPER_GROUP
    if strategy == "dropnas":
        groups = find_space(run.config["space"]).groups
        for name, group in zip(GROUP_RATES, groups, strict=True):
            size = PAPER_GROUP if options.get("drop_probability") == "released" else len(group)
            yield round(float(options.get(name, RATE)) ** (1 / size), 4), len(group)


def _own(run: Planned) -> bool:
    """Whether the deviations apply to a run; they do not apply to the searches of baselines."""
    return run.stage != "search" or run.config["strategy"] == "dropnas"


def _value(config: Any, keys: Sequence[str], default: object) -> object:
    for key in keys:
        if not isinstance(config, Mapping) or key not in config:
            return default
        config = config[key]
    return config


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def entries() -> list[dict[str, Any]]:
    """The entries of `deviations.yaml`, in order."""
    found: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("deviations.yaml").read_text("utf-8"))
    return found
