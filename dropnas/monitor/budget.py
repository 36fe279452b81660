"""The largest part of a plan that fits into a budget of hours.

The steps of the ladder (docs/ladder.md) are plans; each step contains the runs of the steps before it. A plan outside
of the ladder is treated as a ladder of one step. The last step that fits with at least three seeds is chosen, with the
largest number of seeds that fits: fewer seeds answer the same questions with less certainty. If no step fits, the first
step is reduced. All the parts that the paper's claims do not need (`dispensable`) are removed, and then the parts that
fit are put back, the most important first. Epochs and networks never change, because that would be a different
protocol.

At least three seeds are used, because two seeds could neither confirm nor contradict anything: the 95 % interval of a
mean reaches 9 standard deviations to either side with two seeds, and 2.5 with three. If nothing else fits, the first
step of the ladder gets two seeds, or even one. With one seed, nothing can be tested.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

from scipy.special import stdtrit

from dropnas.analysis.comparison import POWER, Sample, difference
from dropnas.analysis.verdict import LEVEL
from dropnas.config import Parameters
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import number
from dropnas.report.config import TARGETS
from dropnas.report.page.phrases import count
from dropnas.report.verdicts import PAPER_SEEDS

FEWEST_SEEDS = 3
AUTHORS_PREFIX = "dropnas"  # prefix of the ids of the authors' published architectures
STD_CIFAR10 = 0.14 * math.sqrt(8 / 7)  # Table 1, "2.58±0.14", converted from population to sample deviation
Price = Callable[[Parameters], float]  # the hours that a plan still needs
Removal = Callable[[Parameters], Parameters]  # removes a dispensable part of a plan


@dataclass(frozen=True)
class PlanPart:
    """A part of a plan."""

    parameters: Parameters
    hours: float
    lacks: tuple[str, ...] = ()  # what was removed, in words


def fitting(steps: Sequence[PlanPart], budget: float, price: Price, fewest: Sequence[int]) -> PlanPart:
    """The last step that fits with at least three seeds, or else a part of the first step.

    Such a part has at least a minimum number of seeds; `fewest` lists the minimum numbers to try, in order.

    Raises:
        DropnasError: nothing fits.
    """
    for step in reversed(steps):
        part = step if step.hours <= budget else reduced(step.parameters, {}, FEWEST_SEEDS, budget, price)
        if part:
            return part
    first, may_go = steps[0].parameters, dispensable(steps[0].parameters)
    for seeds in fewest:
        if part := reduced(first, may_go, seeds, budget, price):
            return part
    least = with_seeds(_without(first, may_go.values()), fewest[-1])
    smallest = f"{' and '.join(least.tables)} with {count(fewest[-1], 'seed')}, takes {number(price(least))}"
    raise DropnasError(f"nothing fits into {budget:g} hours", remedy=f"the smallest part, {smallest}")


def reduced(plan: Parameters, may_go: dict[str, Removal], fewest: int, budget: float, price: Price) -> PlanPart | None:
    """The largest part of a plan that fits into a budget with at least `fewest` seeds; None if nothing fits."""
    gone = may_go
    for name in reversed(may_go):
        fewer = {other: step for other, step in gone.items() if other != name}
        gone = fewer if price(with_seeds(_without(plan, fewer.values()), fewest)) <= budget else gone
    kept, most = _without(plan, gone.values()), most_seeds(plan)
    if price(with_seeds(kept, fewest)) > budget:
        return None
    for seeds in range(max(most_seeds(kept), fewest), fewest - 1, -1):
        if (hours := price(part := with_seeds(kept, seeds))) <= budget:
            break
    fewer_seeds = (f"{seeds} instead of {most} seeds",) if seeds < most else ()
    return PlanPart(part, hours, (*fewer_seeds, *gone))


def _without(plan: Parameters, steps: Iterable[Removal]) -> Parameters:
    return reduce(lambda kept, step: step(kept), steps, plan)


def dispensable(parameters: Parameters) -> dict[str, Removal]:
    """Map the description of each dispensable part of a plan to a function that removes this part.

    The least important part comes first. The most important table cannot be removed.
    """
    found: dict[str, Removal] = {}
    if (most := parameters.retrainings) > 1:
        found[f"1 instead of {most} retrainings"] = lambda kept: replace(kept, retrainings=1)
    own = tuple(name for name in parameters.published if name.startswith(AUTHORS_PREFIX))
    if own and own != parameters.published:
        others = ", ".join(name for name in parameters.published if name not in own)
        found[f"without the cell of {others}"] = lambda kept: replace(kept, published=own)
    shared = tuple(rate for rate in parameters.drop_rates if rate in parameters.group_rates)
    if "figure2" in parameters.figures and shared:
        rates = ", ".join(f"{rate:g}" for rate in parameters.drop_rates if rate not in shared)
        found[f"without the rates of Figure 2 that Table 5 does not have: {rates}"] = lambda kept: replace(
            kept, drop_rates=shared
        )
    last = max(parameters.tables, key=lambda name: TARGETS[name].priority)
    targets = {*parameters.tables, *parameters.figures} - {last}
    ordered = sorted(targets, key=lambda name: (TARGETS[name].priority, name))
    return found | {f"without {name}": partial(_without_target, name) for name in ordered}


def _without_target(name: str, kept: Parameters) -> Parameters:
    tables, figures = (tuple(one for one in of if one != name) for of in (kept.tables, kept.figures))
    seeds_of = {target: count for target, count in kept.seeds_of.items() if target != name}
    return replace(kept, tables=tables, figures=figures, seeds_of=seeds_of)


def with_seeds(parameters: Parameters, most: int) -> Parameters:
    """Return the parameters with the seeds of every target limited to `most`."""
    seeds = min(parameters.first_seeds, most)
    capped = {target: min(count, most) for target, count in parameters.seeds_of.items()}
    return replace(parameters, seeds=seeds, seeds_of={target: n for target, n in capped.items() if n != seeds})


def most_seeds(parameters: Parameters) -> int:
    """The largest number of seeds of any target."""
    return max(parameters.first_seeds, *parameters.seeds_of.values(), 1)


def detectable(seeds: int) -> float:
    """The smallest difference from the paper's CIFAR-10 number that is detected with 80 % probability.

    `seeds` must be at least 2.
    """
    one = difference(Sample(seeds, 0.0, STD_CIFAR10), Sample(PAPER_SEEDS, 0.0, STD_CIFAR10))
    return float(stdtrit(one.freedom, 1 - LEVEL / 2) + stdtrit(one.freedom, POWER)) * one.error
