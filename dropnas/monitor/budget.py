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

from scipy.special import stdtrit

from dropnas.analysis.comparison import POWER, Sample, difference
from dropnas.analysis.verdict import LEVEL
from dropnas.config import Parameters, write_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Hours, Known, number
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.report.config import TARGETS
from dropnas.report.verdicts import PAPER_SEEDS

FEWEST_SEEDS = 3
STD_CIFAR10 = 0.14 * math.sqrt(8 / 7)  # Table 1, "2.58±0.14": a population deviation, as one over n - 1
Price = Callable[[Parameters], float]
Step = Callable[[Parameters], Parameters]  # takes something away that a plan can do without


@dataclass(frozen=True)
class Part:
    """A part of a plan that fits a budget: what is left, its hours, and in words what it lacks."""

    parameters: Parameters
    hours: float
    lacks: tuple[str, ...] = ()


def reduced(parameters: Parameters, budget: float, price: Price) -> Part:
    """The largest part of a plan that fits into a budget of device-hours, with the names of the steps taken."""
    possible = steps(parameters)

    def without(taken: Sequence[str]) -> Parameters:
        return reduce(lambda kept, name: possible[name](kept), taken, parameters)

    def least(taken: Sequence[str]) -> float:
        return price(with_seeds(without(taken), FEWEST_SEEDS))

    names = list(possible)
    count = next((count for count in range(len(names) + 1) if least(names[:count]) <= budget), None)
    if count is None:
        smallest = f"{' and '.join(without(names).tables)} with {FEWEST_SEEDS} seeds takes {number(least(names))}"
        raise DropnasError(f"nothing fits into {budget:g} device-hours", remedy=f"the smallest part, {smallest}")
    taken = names[:count]
    for name in reversed(names[:count]):
        fewer = [other for other in taken if other != name]
        taken = fewer if least(fewer) <= budget else taken
    found = with_most_seeds(without(taken), FEWEST_SEEDS, budget, price)
    assert found  # it fits with the fewest seeds
    return replace(found, lacks=tuple(taken))


def steps(parameters: Parameters) -> dict[str, Step]:
    """What may go, in this order, by what is lost; steps may be taken in any order."""
    found: dict[str, Step] = {}
    if parameters.retrainings > 1:
        name = f"retrainings of each genotype: {parameters.retrainings} -> 1"
        found[name] = lambda kept: replace(kept, retrainings=1)
    least_first = sorted(TARGETS, key=lambda name: TARGETS[name].priority)
    targets = [name for name in least_first if name in (*parameters.tables, *parameters.figures)]
    found |= {name: _without_target(name) for name in targets if TARGETS[name].on_request}
    shared = tuple(rate for rate in parameters.drop_rates if rate in parameters.group_rates)
    if "figure2" in parameters.figures and shared:
        rates = ", ".join(f"{rate:g}" for rate in parameters.drop_rates if rate not in shared)
        name = f"rates of Figure 2 that Table 5 does not have: {rates}"
        found[name] = lambda kept: replace(kept, drop_rates=shared)
    rest = [name for name in targets if name not in found]
    figures, tables = ([name for name in rest if name in of] for of in (parameters.figures, parameters.tables))
    # The last table is Table 1, the paper's main claim.
    return found | {name: _without_target(name) for name in (*figures, *tables[:-1])}


def _without_target(name: str) -> Step:
    def take(kept: Parameters) -> Parameters:
        tables, figures = (tuple(one for one in of if one != name) for of in (kept.tables, kept.figures))
        seeds_of = {target: count for target, count in kept.seeds_of.items() if target != name}
        return replace(kept, tables=tables, figures=figures, seeds_of=seeds_of)

    return take


def with_most_seeds(parameters: Parameters, fewest: int, budget: float, price: Price) -> Part | None:
    """The part with the most seeds that fits, at least the fewest; these first, as they seldom fit."""
    if price(with_seeds(parameters, fewest)) > budget:
        return None
    some = (with_seeds(parameters, most) for most in range(max(most_seeds(parameters), fewest), fewest - 1, -1))
    return next(Part(kept, hours) for kept in some if (hours := price(kept)) <= budget)


def with_seeds(parameters: Parameters, most: int) -> Parameters:
    """The same with at most so many seeds of anything."""
    seeds = min(parameters.first_seeds, most)
    capped = {target: min(count, most) for target, count in parameters.seeds_of.items()}
    return replace(parameters, seeds=seeds, seeds_of={target: n for target, n in capped.items() if n != seeds})


def most_seeds(parameters: Parameters) -> int:
    """The most seeds of anything."""
    return max(parameters.first_seeds, *parameters.seeds_of.values(), 1)


def hours_left(known: Known, parameters: Parameters) -> float:
    """Device-hours that the runs of parameters still take, without those on request."""
    hours = Hours.left(known.estimates(plan_content(make_plan(parameters).by_default())["runs"]).values())
    if hours.unknown:
        message = f"the hours of {hours.unknown} runs are unknown, so no budget can be kept"
        raise DropnasError(message, remedy="run plan --measure on the machine that will run them")
    return hours.known


def fit(known: Known, parameters: Parameters, source: Path, budget: float, out: Path | None) -> Iterator[str]:
    """Write the part of the file `source` that fits into a budget, to `out` or beside it, and say what is lost."""
    if not math.isfinite(budget):
        raise DropnasError("no number of hours", where=f"--gpu-hours {budget}", remedy="such as --gpu-hours 200")
    total = hours_left(known, parameters)
    if total <= budget:
        yield f"All of it fits: {number(total)} of {budget:g} device-hours are left to run."
        return
    found = reduced(parameters, budget, lambda some: hours_left(known, some))
    profile = f"{parameters.profile}-{f'{budget:.6f}'.rstrip('0').rstrip('.')}h"
    destination, device = out or source.with_name(f"{profile}.yaml"), known.device.label if known.device else ""
    description = f"{parameters.description.rstrip('.')}, reduced to {budget:g} device-hours."
    lost = list(_lost(parameters, found))
    header = [f"{source}, reduced to {budget:g} device-hours on {device}.", *(f"- {line}" for line in lost)]
    write_parameters(replace(found.parameters, profile=profile, description=description), destination, header)
    yield f"{destination}: {number(found.hours)} of {budget:g} device-hours (all of {source}: {number(total)})"
    yield from (f"  {line}" for line in lost)


def _lost(before: Parameters, found: Part) -> Iterator[str]:
    """What is left out, and what fewer seeds mean for the paper's main number."""
    if (left := most_seeds(found.parameters)) != most_seeds(before):
        counts = [some.seeds_of.get("table1", some.first_seeds) for some in (before, found.parameters)]
        points = " -> ".join(f"{detectable(count):.2f}" for count in counts if count > 1)
        power = f": a difference from Table 1's CIFAR-10 number is found four times in five from {points} points on"
        yield f"seeds: {most_seeds(before)} -> {left}" + power * before.reproduction
    if found.lacks:
        yield f"left out: {', '.join(found.lacks)}"


def detectable(seeds: int) -> float:
    """The smallest difference from the paper's CIFAR-10 number that two or more seeds find four times in five."""
    one = difference(Sample(seeds, 0.0, STD_CIFAR10), Sample(PAPER_SEEDS, 0.0, STD_CIFAR10))
    return float(stdtrit(one.freedom, 1 - LEVEL / 2) + stdtrit(one.freedom, POWER)) * one.error
