"""What `plan` answers about cost: a measurement of this machine, and a part of the plan that fits into a budget."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dropnas.config import Parameters
from dropnas.errors import DropnasError
from dropnas.monitor.budget import Reduction, reduced
from dropnas.monitor.estimate import Known
from dropnas.monitor.parameter_file import write_parameters
from dropnas.monitor.throughput import add_measured
from dropnas.monitor.totals import Hours, left, number
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan


def measure_plan(
    known: Known, runs: Sequence[dict[str, Any]], parameters: Parameters, progress: Callable[[str], None]
) -> None:
    """Time each kind of work in runs on this machine, and keep that below the root.

    Raises:
        DropnasError: a kind cannot be trained.
    """
    from dropnas.monitor.speed_probe import measure  # with torch, which planning does without

    add_measured(known.root, measure(known.work_to_measure(runs), parameters.machine, progress))


def hours_to_go(known: Known, parameters: Parameters) -> Hours:
    """Device-hours that the runs of parameters still take, without what is on request."""
    runs = plan_content(make_plan(parameters).by_default())["runs"]
    return left(known.estimates(runs).values())


def fit(known: Known, parameters: Parameters, source: Path, budget: float, out: Path | None) -> list[str]:
    """Write the part of a plan that fits into a budget as a parameter file.

    Args:
        source: the parameter file that is reduced.
        budget: device-hours.
        out: where to write; beside the source by default.

    Returns:
        what was done, in lines.

    Raises:
        DropnasError: the hours are unknown, nothing fits, or another file stands there.
    """
    if not math.isfinite(budget):
        raise DropnasError("no number of hours", where=f"--gpu-hours {budget}", remedy="such as --gpu-hours 200")
    found = reduced(parameters, budget, lambda some: hours_to_go(known, some))
    if not found.lost:
        return [f"The whole fits: {number(found.hours)} of {budget:g} device-hours are to go."]
    destination = out or source.with_name(f"{_profile(parameters, budget)}.yaml")
    lost = _certainty(parameters, found)
    if gone := [line for line in found.lost if not line.startswith("seeds")]:
        lost.append(f"left out: {', '.join(gone)}")
    took = f"{number(found.hours)} of {budget:g} device-hours to go (the whole of {source}: {number(found.whole)})"
    device = known.device.label if known.device else ""
    write_parameters(
        _named(found.parameters, budget),
        destination,
        [f"{source}, reduced to {budget:g} device-hours on {device}.", *(f"- {line}" for line in lost)],
    )
    return [f"{destination}: {took}", *(f"  {line}" for line in lost)]


def _named(parameters: Parameters, budget: float) -> Parameters:
    description = f"{parameters.description.rstrip('.')}, reduced to {budget:g} device-hours."
    return replace(parameters, profile=_profile(parameters, budget), description=description)


def _profile(parameters: Parameters, budget: float) -> str:
    hours = f"{budget:.6f}".rstrip("0").rstrip(".")
    return f"{parameters.profile}-{hours}h"


def _certainty(before: Parameters, found: Reduction) -> list[str]:
    """What fewer seeds mean for the paper's main number."""
    from dropnas.monitor.power import detectable  # with scipy

    lines = [line for line in found.lost if line.startswith("seeds")]
    if not lines or not before.reproduction:
        return lines
    counts = [some.seeds_of.get("table1", some.seeds) for some in (before, found.parameters)]
    points = [f"{detectable(count):.2f}" for count in counts if count > 1]
    told = (
        f"a difference from Table 1's CIFAR-10 number is found four times in five from {' -> '.join(points)} points on"
    )
    return [f"{lines[0]}: {told}"]
