"""What `plan` says of the ladder and of looks: their hours, the power of each claim, and what fits a budget.

Hours are those that are known for the device; where some are unknown, those of the authors on a V100, which leave out
ImageNet: the unit is said with each answer, and nothing is invented.

What fits is the last step of the ladder that fits with at least three seeds. If none does, the first step is reduced
further: two seeds, the authors' cells alone, one data set. One seed comes last, since it can test nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import RenderableType

from dropnas.analysis.power import smallest
from dropnas.config import Parameters, read_parameters
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.monitor.budget import FEWEST_SEEDS, detectable, most_seeds, with_seeds, write_parameters
from dropnas.monitor.costs import authors_days
from dropnas.monitor.estimate import Known, number
from dropnas.monitor.looks_cost import NONE, TRUE, LooksCost, looks_cost
from dropnas.monitor.screen import table
from dropnas.pipeline.asked import asked
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.judging import deviations
from dropnas.pipeline.ladder import SEQUENTIAL, STEPS
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.report.config import TARGETS

DAY = 24.0  # hours
SHOWN_SEEDS = (3, 5, 8, 16)
AUTHORS = "V100-hours at the authors' speed (a search as they print it, a day for a retraining), without ImageNet"
FOUND = "smallest difference found in four of five cases"
OPEN = 0.5  # chance from which on a claim is named as one that stays open
OWN = "dropnas"  # how the authors' published cells are called
ANSWERS = {step.profile: step.answers for step in STEPS}
ONE_SEED = "One seed has no deviation, so nothing is tested: its errors only stand beside the printed ones."


@dataclass(frozen=True)
class Measure:
    """What hours are counted in, alike for all plans that are compared: those known for the device, or the authors'."""

    known: Known
    unit: str

    @classmethod
    def of(cls, plans: Sequence[Plan], known: Known) -> "Measure":
        """The device's hours if all are known."""
        found = [one.hours for plan in plans for one in known.estimates(plan_content(plan)["runs"]).values()]
        own = known.device and None not in found
        return cls(known, f"{known.device.unit} on {known.device.label}" if own and known.device else AUTHORS)

    def prices(self, plan: Plan) -> dict[str, float]:
        """Hours of each run of a plan, by its id."""
        runs = plan_content(plan)["runs"]
        if self.unit == AUTHORS:
            days = authors_days(runs)
            return {run["id"]: DAY * days.get(run["id"], 0.0) for run in runs}
        return {id_: one.hours or 0.0 for id_, one in self.known.estimates(runs).items()}

    def hours(self, part: Parameters) -> float:
        """Hours of all that a parameter file builds by default."""
        plan = make_plan(part)
        prices = self.prices(plan)
        return sum(prices[id_] for id_ in plan.by_default().runs)


@dataclass(frozen=True)
class Priced:
    """A parameter file with its plan, the hours of its runs, and those of what it and the steps before it build."""

    plan: Plan
    prices: Mapping[str, float]
    hours: float

    @property
    def profile(self) -> str:
        """Its name."""
        return self.plan.parameters.profile


@dataclass(frozen=True)
class Ladder:
    """The steps of the ladder in the folder of a parameter file, and the sequential plan."""

    steps: tuple[Priced, ...]
    sequential: Priced | None
    measure: Measure


@dataclass(frozen=True)
class Part:
    """A part of a step that fits a budget: its hours, and in words what it leaves out."""

    step: Priced
    parameters: Parameters
    hours: float
    lacks: tuple[str, ...] = ()


def ladder(file: Path, known: Known) -> Ladder:
    """The ladder in the folder of a parameter file; if that has looks, with it as the sequential plan."""
    settings = read_parameters(file)
    named = [file.with_name(f"{step.profile}.yaml") for step in STEPS]
    plans = [make_plan(read_parameters(one)) for one in named if one.is_file()]
    beside = file.with_name(f"{SEQUENTIAL}.yaml")
    own = settings if settings.looks else read_parameters(beside) if beside.is_file() else None
    plans += [make_plan(own)] if own else []
    measure = Measure.of(plans, known)
    priced = tuple(priced_alike(plans, measure))
    return Ladder(priced[:-1] if own else priced, priced[-1] if own else None, measure)


def has_ladder(file: Path) -> bool:
    """Whether a parameter file is a step of the ladder, with the others beside it."""
    names = [f"{step.profile}.yaml" for step in STEPS]
    return file.name in names and all(file.with_name(name).is_file() for name in names)


def priced_alike(plans: Sequence[Plan], measure: Measure) -> Iterator[Priced]:
    """Plans with their hours; each with those of the plans before it."""
    total: dict[str, float] = {}
    for plan in plans:
        prices = measure.prices(plan)
        total |= {id_: prices[id_] for id_ in plan.by_default().runs}
        yield Priced(plan, prices, sum(total.values()))


def ladder_lines(file: Path, known: Known) -> Iterator[RenderableType]:
    """The steps with their hours and questions, the sequential plan, and the power of each claim."""
    found = ladder(file, known)
    rows = table("step", "hours", "answers", left=("answers",))
    for one in found.steps:
        rows.add_row(one.profile, number(one.hours), ANSWERS[one.profile])
    cost = looks_cost(found.sequential.plan, found.sequential.prices) if found.sequential else None
    if found.sequential and cost:
        expected = "/".join(number(cost.expected[name].hours) for name in (TRUE, NONE))
        hours = f"{number(cost.least)} to {number(cost.most)}"
        rows.add_row(found.sequential.profile, hours, f"The same, seeds only where they decide: expected {expected}.")
    yield rows
    yield f"Hours: {found.measure.unit}. Those of a step include the steps before it."
    if found.sequential:
        yield from looks_lines(found.sequential, cost)
        yield from power_lines((found.steps or (found.sequential,))[-1].plan, known.root)


def looks_lines(sequential: Priced, cost: LooksCost | None = None) -> Iterator[RenderableType]:
    """What each look of a sequential plan costs and leaves open."""
    cost = cost or looks_cost(sequential.plan, sequential.prices)
    rows = table("look", "seeds", "hours by then", "at most", "numbers open", "claims open")
    for at, seeds in enumerate(cost.schedule):
        both = [cost.expected[name] for name in (TRUE, NONE)]
        claims = "/".join(f"{sum(one.open_claims[at].values()):.1f}" for one in both)
        rows.add_row(
            str(at + 1),
            str(seeds),
            "/".join(number(one.after[at]) for one in both),
            number(cost.until[at]),
            "/".join(f"{one.open[at]:.0%}" for one in both),
            f"{claims} of {len(both[0].open_claims[at])}",
        )
    yield rows
    yield f"Expected if {TRUE}/if {NONE}, without what rests on the best of the seeds. Open: not decided by then."


def fitting_lines(file: Path, known: Known, budget: float, out: Path | None = None) -> Iterator[str]:
    """What fits into a budget of hours, what it promises and what stays open; with `out` it is written there.

    Raises:
        DropnasError: nothing fits that could be written, or another file is there.
    """
    found = ladder(file, known)
    yield f"Hours: {found.measure.unit}."
    if found.steps:
        part = fitting(found, budget)
        yield from _part_lines(part, found.steps, budget) if part else [_nothing(found, budget)]
        if out:
            yield _written(part, budget, out)
        elif part and part.lacks:
            yield "With --out FILE it is written as a parameter file."
    if found.sequential:
        yield from _looks_that_fit(found.sequential, budget)


def fitting(found: Ladder, budget: float) -> Part | None:
    """The largest honest part of the ladder that fits; None if not even one training does."""
    for step in reversed(found.steps):
        whole = step.plan.parameters
        if step.hours <= budget:
            return Part(step, whole, step.hours)
        if part := _with_fewer_seeds(Part(step, whole, step.hours), found.measure, budget, FEWEST_SEEDS):
            return part
    for fewest in (2, 1):
        parts = [_with_fewer_seeds(part, found.measure, budget, fewest) for part in _smaller(found)]
        if fits := [part for part in parts if part]:
            return max(fits, key=lambda part: part.hours)
    return None


def _with_fewer_seeds(part: Part, measure: Measure, budget: float, fewest: int) -> Part | None:
    """A part with the most seeds that fits, or None; `fewest` first, as they seldom do."""
    most = most_seeds(part.parameters)
    if measure.hours(with_seeds(part.parameters, fewest)) > budget:
        return None
    for seeds in range(most, fewest - 1, -1):
        kept = with_seeds(part.parameters, seeds)
        if (hours := measure.hours(kept)) <= budget:
            fewer = (f"{seeds} instead of {most} seeds",) if seeds < most else ()
            return Part(part.step, kept, hours, (*fewer, *part.lacks))
    return None


def _smaller(found: Ladder) -> Iterator[Part]:
    """The first step, without other methods' cells, on one data set, and both; before fewer seeds."""
    first = found.steps[0]
    whole = first.plan.parameters
    own = replace(whole, published=tuple(name for name in whole.published if name.startswith(OWN)))
    others = ", ".join(name for name in whole.published if name not in own.published)
    role = next(iter(whole.datasets))
    tables = tuple(name for name in whole.tables if set(TARGETS[name].needs) <= {role})
    for alone in (False, True):
        for kept, lacks in ((whole, ()), (own, (f"without the cell of {others}",))):
            on = (f"on {ROLES[role].printed} alone",) if alone else ()
            part = replace(kept, datasets={role: kept.datasets[role]}, tables=tables) if alone else kept
            yield Part(first, part, found.measure.hours(part), (*lacks, *on))


def _part_lines(part: Part, steps: Sequence[Priced], budget: float) -> Iterator[str]:
    name, seeds = part.step.profile, most_seeds(part.parameters)
    yield f"{budget:g} hours: {', '.join([name, *part.lacks])}: {number(part.hours)} h."
    yield f"It answers: {ANSWERS[name]}"
    if seeds == 1:
        yield ONE_SEED
    else:
        few = f" ({FEWEST_SEEDS} seeds: {detectable(FEWEST_SEEDS):.2f})" if seeds < FEWEST_SEEDS else ""
        points = f"from {detectable(seeds):.2f} points on{few}"
        yield f"{seeds} seeds find a difference from Table 1's CIFAR-10 number four times in five {points}."
    if part.lacks:
        yield f"Open: the same with all seeds, cells and data sets ({name}, {number(part.step.hours)} h)"
    for one in steps[steps.index(part.step) + 1 :]:
        yield f"Open: {ANSWERS[one.profile]} ({one.profile}, {number(one.hours)} h)"


def _nothing(found: Ladder, budget: float) -> str:
    least = min(found.measure.hours(with_seeds(part.parameters, 1)) for part in _smaller(found))
    return f"Nothing of the ladder fits {budget:g} hours: one seed of the authors' cell takes {number(least)}."


def _written(part: Part | None, budget: float, out: Path) -> str:
    if part is None:
        raise DropnasError(f"nothing fits into {budget:g} hours, so nothing is written", where=out)
    settings = part.parameters
    words = f"{', '.join([part.step.profile, *part.lacks])}, for {budget:g} hours"
    named = replace(settings, profile=out.stem, description=f"{settings.description.rstrip('.')}: {words}.")
    write_parameters(named, out, [f"{words}."])
    return f"{out}: written."


def _looks_that_fit(sequential: Priced, budget: float) -> Iterator[str]:
    cost, name = looks_cost(sequential.plan, sequential.prices), sequential.profile
    true, none = cost.expected[TRUE], cost.expected[NONE]
    if cost.most <= budget:
        expected = f"{number(true.hours)}/{number(none.hours)}"
        yield f"All of {name} fits: at most {number(cost.most)} h, expected {expected}."
    count = sum(max(one.after[at] for one in (true, none)) <= budget for at in range(len(cost.schedule)))
    if not count:
        first = f"its first look, {cost.schedule[0]} seeds of everything, takes {number(cost.until[0])}"
        yield f"Of {name} nothing fits: {first}."
        return
    at, seeds = count - 1, ", ".join(map(str, cost.schedule[:count]))
    hours = f"expected {number(true.after[at])}/{number(none.after[at])} h, at most {number(cost.until[at])} h"
    yield f"Looks of {name} that fit: {seeds} seeds, {hours}."
    yield f"Then open, if {TRUE}: {true.open[at]:.0%} of the printed numbers, and these claims:"
    for claim, chance in true.open_claims[at].items():
        if chance >= OPEN:
            yield f"  {claim} (open in {chance:.0%} of simulated reproductions)"


def power_lines(plan: Plan, root: Path) -> Iterator[RenderableType]:
    """The smallest difference that each claim's test finds in four cases of five, in points of test error.

    Args:
        plan: whose claims.
        root: of the store, where finished trainings say how much seeds scatter.
    """
    asking = asked(plan)
    stds, ours = deviations(asking, root)
    if not stds.all():
        return
    rows = table(FOUND, *(f"{n} seeds" for n in SHOWN_SEEDS), left=(FOUND,))
    by_seeds = [smallest(asking.questions, stds, n) for n in SHOWN_SEEDS]
    for at, claim in enumerate(asking.questions.claims):
        roles = [asking.experiments[contrast.lower[0]].role for contrast in claim.contrasts]
        for role in dict.fromkeys(roles):
            of_role = [[value for value, of in zip(found[at], roles, strict=True) if of == role] for found in by_seeds]
            rows.add_row(f"{ROLES[role].printed}: {claim.claim}", *(f"{max(some):.2f}" for some in of_role))
    yield rows
    whose = f"and of ours, which {ours} of {len(stds)} experiments have" if ours else "since there are none of ours yet"
    yield f"Points of test error, by the deviations that the paper prints, {whose}; of several comparisons the hardest."
    yield "The boundaries of looks ask for little more at the last look, and for much more at the first."
