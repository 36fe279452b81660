"""A budget: the largest part of a plan that fits into given device-hours, written as a parameter file.

Fewer seeds come first, the same for all tables, since they answer the same questions with less certainty. Then goes
what the paper's claims can do without, in the order of `steps`, until the rest fits with the fewest seeds; of this, all
that fits nevertheless comes back, the last first; then as many seeds as fit. Epochs and networks stay: changed, they
would be another protocol. Three seeds are the fewest: with two, the 95 % interval of a mean reaches 9 deviations to
either side, with three 2.5, so two could confirm or contradict nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from dropnas.config import Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Hours, Known, number
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.report.config import TARGETS
from dropnas.runs.files import write_text

FEWEST_SEEDS = 3
PAPER_SEEDS, LEVEL = 8, 0.05
STD_CIFAR10 = 0.14 * math.sqrt(8 / 7)  # Table 1, "2.58±0.14": a population deviation, as one over n - 1
Price = Callable[[Parameters], Hours]


@dataclass(frozen=True)
class Reduction:
    """A part of a plan.

    Attributes:
        parameters: what is left.
        hours, total: device-hours left to run, of this part and of all that was wanted.
        fewer: the most seeds before and after; None if they are the same.
        lost: what is left out.
    """

    parameters: Parameters
    hours: float
    total: float
    fewer: tuple[int, int] | None = None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """Something that a plan can do without, and its name; steps may be taken in any order."""

    take: Callable[[Parameters], Parameters]
    loses: str


def reduced(parameters: Parameters, budget: float, price: Price) -> Reduction:
    """The largest part of a plan that fits into a budget of device-hours.

    Raises:
        DropnasError: the hours are unknown, or not even the smallest part fits.
    """
    total = _known(price(parameters))
    if total <= budget:
        return Reduction(parameters, total, total)

    def least(taken: Sequence[Step]) -> float:
        return _known(price(with_seeds(_without(parameters, taken), FEWEST_SEEDS)))

    possible = list(steps(parameters))
    count = next((count for count in range(len(possible) + 1) if least(possible[:count]) <= budget), None)
    if count is None:
        tables = " and ".join(_without(parameters, possible).tables)
        smallest = f"{tables} with {FEWEST_SEEDS} seeds takes {number(least(possible))}"
        raise DropnasError(f"nothing fits into {budget:g} device-hours", remedy=f"the smallest part, {smallest}")
    taken = possible[:count]
    for step in reversed(taken):
        fewer = [other for other in taken if other is not step]
        taken = fewer if least(fewer) <= budget else taken
    kept, most = _without(parameters, taken), most_seeds(parameters)
    parts = (with_seeds(kept, seeds) for seeds in range(max(most_seeds(kept), FEWEST_SEEDS), FEWEST_SEEDS - 1, -1))
    best, hours = next((part, hours) for part in parts if (hours := _known(price(part))) <= budget)
    changed = (most, most_seeds(best)) if most_seeds(best) != most else None
    return Reduction(best, hours, total, changed, tuple(step.loses for step in taken))


def steps(parameters: Parameters) -> Iterator[Step]:
    """What may go, in this order."""
    if parameters.retrainings > 1:
        more = f"retrainings of each genotype: {parameters.retrainings} -> 1"
        yield Step(lambda kept: replace(kept, retrainings=1), more)
    least_first = sorted(TARGETS, key=lambda name: TARGETS[name].priority)
    targets = [name for name in least_first if name in (*parameters.tables, *parameters.figures)]
    yield from (_target(name) for name in targets if TARGETS[name].on_request)
    shared = tuple(rate for rate in parameters.drop_rates if rate in parameters.group_rates)
    if "figure2" in parameters.figures and shared:
        rates = ", ".join(f"{rate:g}" for rate in parameters.drop_rates if rate not in shared)
        loses = f"rates of Figure 2 that Table 5 does not have: {rates}"
        yield Step(lambda kept: replace(kept, drop_rates=shared), loses)
    rest = [name for name in targets if not TARGETS[name].on_request]
    yield from (_target(name) for name in rest if name in parameters.figures)
    tables = [name for name in rest if name in parameters.tables]
    yield from (_target(name) for name in tables[:-1])  # the last is Table 1, the paper's main claim


def _target(name: str) -> Step:
    def take(kept: Parameters) -> Parameters:
        return replace(
            kept,
            tables=tuple(table for table in kept.tables if table != name),
            figures=tuple(figure for figure in kept.figures if figure != name),
            seeds_of={target: count for target, count in kept.seeds_of.items() if target != name},
        )

    return Step(take, name)


def _without(parameters: Parameters, taken: Sequence[Step]) -> Parameters:
    return reduce(lambda kept, step: step.take(kept), taken, parameters)


def with_seeds(parameters: Parameters, most: int) -> Parameters:
    """The same with at most so many seeds of anything."""
    seeds = min(parameters.first_seeds, most)
    capped = {target: min(count, most) for target, count in parameters.seeds_of.items()}
    return replace(parameters, seeds=seeds, seeds_of={target: n for target, n in capped.items() if n != seeds})


def most_seeds(parameters: Parameters) -> int:
    """The most seeds of anything."""
    return max(parameters.first_seeds, *parameters.seeds_of.values(), 1)


def _known(hours: Hours) -> float:
    if hours.unknown:
        message = f"the hours of {hours.unknown} runs are unknown, so no budget can be kept"
        raise DropnasError(message, remedy="run plan --measure on the machine that will run them")
    return hours.known


def hours_left(known: Known, parameters: Parameters) -> Hours:
    """Device-hours that the runs of parameters still take, without those on request."""
    return Hours.left(known.estimates(plan_content(make_plan(parameters).by_default())["runs"]).values())


def fit(known: Known, parameters: Parameters, source: Path, budget: float, out: Path | None) -> list[str]:
    """Write the part of the parameter file `source` that fits into a budget, to `out` or beside it.

    Returns:
        lines that say what is written and what is lost.

    Raises:
        DropnasError: the hours are unknown, nothing fits, or another file is there.
    """
    if not math.isfinite(budget):
        raise DropnasError("no number of hours", where=f"--gpu-hours {budget}", remedy="such as --gpu-hours 200")
    found = reduced(parameters, budget, lambda some: hours_left(known, some))
    if found.parameters == parameters:
        return [f"All of it fits: {number(found.hours)} of {budget:g} device-hours are left to run."]
    profile = f"{parameters.profile}-{f'{budget:.6f}'.rstrip('0').rstrip('.')}h"
    destination, device = out or source.with_name(f"{profile}.yaml"), known.device.label if known.device else ""
    description = f"{parameters.description.rstrip('.')}, reduced to {budget:g} device-hours."
    lost = list(_lost(parameters, found))
    header = [f"{source}, reduced to {budget:g} device-hours on {device}.", *(f"- {line}" for line in lost)]
    write_parameters(replace(found.parameters, profile=profile, description=description), destination, header)
    hours = f"{number(found.hours)} of {budget:g} device-hours (all of {source}: {number(found.total)})"
    return [f"{destination}: {hours}", *(f"  {line}" for line in lost)]


def _lost(before: Parameters, found: Reduction) -> Iterator[str]:
    """What is left out, and what fewer seeds mean for the paper's main number."""
    if found.fewer:
        line = "seeds: {} -> {}".format(*found.fewer)
        counts = [some.seeds_of.get("table1", some.first_seeds) for some in (before, found.parameters)]
        points = " -> ".join(f"{detectable(count):.2f}" for count in counts if count > 1)
        power = f": a difference from Table 1's CIFAR-10 number is found four times in five from {points} points on"
        yield line + power * before.reproduction
    if found.lost:
        yield f"left out: {', '.join(found.lost)}"


def detectable(seeds: int, std: float = STD_CIFAR10) -> float:
    """The smallest difference from the paper's mean, in points of error, that its verdict finds four times in five.

    Args:
        seeds: ours, two or more; the paper has eight.
        std: deviation of one seed, ours and the paper's; by default that of DropNAS in Table 1.
    """
    from scipy.special import stdtrit  # imported here, since most plans do without

    from dropnas.analysis.comparison import POWER, Sample, difference

    one = difference(Sample(seeds, 0.0, std), Sample(PAPER_SEEDS, 0.0, std))
    return float(stdtrit(one.freedom, 1 - LEVEL / 2) + stdtrit(one.freedom, POWER)) * one.error


def write_parameters(parameters: Parameters, file: Path, header: Sequence[str]) -> None:
    """Write a parameter file that reads as these parameters, with a comment at its top; defaults are left out.

    Raises:
        DropnasError: another file is there already.
    """
    values = TypeAdapter(Parameters).dump_python(parameters, mode="json", exclude_defaults=True)
    text = "".join(f"# {line}".rstrip() + "\n" for line in header)
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise DropnasError("is there already", where=file, remedy="remove it, or name another with --out")
    write_text(file, text)
    if read_parameters(file) != parameters:
        raise DropnasError("does not read as what was written", where=file)
