"""A budget: the largest part of a plan that fits into given device-hours, as parameters of its own.

Design choices: fewer seeds come first, the same for all tables, since fewer seeds answer the same questions with less
certainty; then what the paper's claims can do without goes, in the order of `steps`, until the rest fits with the
fewest seeds; of what went, all that fits nevertheless comes back, the last first; and last as many seeds as fit. Epochs
and networks are never touched: that would be another protocol. Three seeds are the fewest: with two, a deviation has
one degree of freedom, and the 95 % interval of a mean reaches 9 deviations to either side, with three 2.5 (Student's t
over the root of n), so that fewer could confirm or contradict nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dropnas.config import Parameters
from dropnas.errors import DropnasError
from dropnas.monitor.totals import Hours, number
from dropnas.report.config import TARGETS

FEWEST_SEEDS = 3
Price = Callable[[Parameters], Hours]


@dataclass(frozen=True)
class Reduction:
    """A part of a plan.

    Attributes:
        parameters: what is left.
        hours: what of it is still to be run.
        whole: the same of all that was wanted.
        lost: what is not in it, a line each; empty where everything fits.
    """

    parameters: Parameters
    hours: float
    whole: float
    lost: tuple[str, ...]


def reduced(parameters: Parameters, budget: float, price: Price) -> Reduction:
    """The largest part of a plan that fits.

    Args:
        budget: device-hours.
        price: the hours that parameters still take.

    Raises:
        DropnasError: the hours are unknown, or not even the smallest part fits.
    """
    whole = _known(price(parameters))
    if whole <= budget:
        return Reduction(parameters, whole, whole, ())

    def least(taken: Sequence[Step]) -> float:
        return _known(price(with_seeds(_without(parameters, taken), FEWEST_SEEDS)))

    possible = steps(parameters)
    count = next((count for count in range(len(possible) + 1) if least(possible[:count]) <= budget), None)
    if count is None:
        tables = " and ".join(_without(parameters, possible).tables)
        smallest = f"{tables} with {FEWEST_SEEDS} seeds takes {number(least(possible))}"
        raise DropnasError(f"nothing fits into {budget:g} device-hours", remedy=f"the smallest part, {smallest}")
    taken = possible[:count]
    for step in reversed(taken):
        fewer = [other for other in taken if other is not step]
        taken = fewer if least(fewer) <= budget else taken
    best, hours = _most_seeds(_without(parameters, taken), budget, price)
    return Reduction(best, hours, whole, (*_seeds_lost(parameters, best), *(step.loses for step in taken)))


def _without(parameters: Parameters, taken: Sequence["Step"]) -> Parameters:
    for step in taken:
        parameters = step.take(parameters)
    return parameters


@dataclass(frozen=True)
class Step:
    """Something that a plan can do without, and what is lost with it; steps may be taken in any order."""

    take: Callable[[Parameters], Parameters]
    loses: str


def steps(parameters: Parameters) -> list[Step]:
    """What may go, in this order."""
    found = []
    if parameters.retrainings > 1:
        more = f"retrainings of each genotype: {parameters.retrainings} -> 1"
        found.append(Step(lambda kept: replace(kept, retrainings=1), more))
    least_first = sorted(TARGETS, key=lambda name: TARGETS[name].priority)
    targets = [name for name in least_first if name in (*parameters.tables, *parameters.figures)]
    found += [_target(name) for name in targets if TARGETS[name].on_request]
    shared = tuple(rate for rate in parameters.drop_rates if rate in parameters.group_rates)
    if "figure2" in parameters.figures and shared:
        rates = ", ".join(f"{rate:g}" for rate in parameters.drop_rates if rate not in shared)
        loses = f"rates of Figure 2 that Table 5 does not have: {rates}"
        found.append(Step(lambda kept: replace(kept, drop_rates=shared), loses))
    rest = [name for name in targets if not TARGETS[name].on_request]
    found += [_target(name) for name in rest if name in parameters.figures]
    tables = [name for name in rest if name in parameters.tables]
    return found + [_target(name) for name in tables[:-1]]  # the last is Table 1, the paper's main claim


def _target(name: str) -> Step:
    def take(kept: Parameters) -> Parameters:
        return replace(
            kept,
            tables=tuple(table for table in kept.tables if table != name),
            figures=tuple(figure for figure in kept.figures if figure != name),
            seeds_of={target: count for target, count in kept.seeds_of.items() if target != name},
        )

    return Step(take, name)


def with_seeds(parameters: Parameters, most: int) -> Parameters:
    """The same with at most so many seeds of anything."""
    seeds = min(parameters.seeds, most)
    capped = {target: min(count, most) for target, count in parameters.seeds_of.items()}
    return replace(parameters, seeds=seeds, seeds_of={target: n for target, n in capped.items() if n != seeds})


def _most(parameters: Parameters) -> int:
    return max(parameters.seeds, *parameters.seeds_of.values(), 1)


def _most_seeds(parameters: Parameters, budget: float, price: Price) -> tuple[Parameters, float]:
    """With as many seeds as fit; the fewest are known to."""
    for most in range(_most(parameters), FEWEST_SEEDS, -1):
        fewer = with_seeds(parameters, most)
        hours = _known(price(fewer))
        if hours <= budget:
            return fewer, hours
    fewest = with_seeds(parameters, FEWEST_SEEDS)
    return fewest, _known(price(fewest))


def _seeds_lost(before: Parameters, after: Parameters) -> list[str]:
    if _most(before) == _most(after):
        return []
    return [f"seeds: {_most(before)} -> {_most(after)}"]


def _known(hours: Hours) -> float:
    if hours.unknown:
        message = f"the hours of {hours.unknown} runs are unknown, so no budget can be kept"
        raise DropnasError(message, remedy="run plan --measure on the machine that will run them")
    return hours.known
