"""What `plan` says of the ladder and of looks: their hours, the power of each claim, and what fits a budget.

Hours are those that are known for the device; where some are unknown, those of the authors on a V100, which leave out
ImageNet: the unit is said with each answer, and nothing is invented.

What fits is the last step of the ladder that fits with at least three seeds. If none does, the first step is reduced
further: two seeds, the authors' cells alone, one data set. One seed comes last, since it can test nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import RenderableType

from dropnas.analysis.power import smallest
from dropnas.config import Parameters, read_parameters, write_parameters
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.monitor.budget import FEWEST_SEEDS, Part, detectable, most_seeds, with_most_seeds, with_seeds
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
from dropnas.report.looked import read_looked, text

DAY = 24.0  # hours
SHOWN_SEEDS = (3, 5, 8, 16)
AUTHORS = "V100-hours at the authors' speed (a search as they print it, a day for a retraining), without ImageNet"
FOUND = "smallest difference found in four of five cases"
OPEN = 0.5  # chance from which on a claim is named as one that stays open
OWN = "dropnas"  # how the authors' published cells are called
ANSWERS = {step.profile: step.answers for step in STEPS}
ONE_SEED = "One seed has no deviation, so nothing is tested: its errors only stand beside the printed ones."


@dataclass(frozen=True)
class Prices:
    """Hours in one unit for all plans that are compared: those known for the device if all are, or the authors'."""

    known: Known
    unit: str

    @classmethod
    def alike(cls, plans: Sequence[Plan], known: Known) -> "Prices":
        """The prices in which all of some plans can be told."""
        found = [one.hours for plan in plans for one in known.estimates(plan_content(plan)["runs"]).values()]
        own = known.device if None not in found else None
        return cls(known, f"{own.unit} on {own.label}" if own else AUTHORS)

    def of(self, plan: Plan) -> dict[str, float]:
        """Hours of each run of a plan, by its id."""
        runs = plan_content(plan)["runs"]
        if self.unit == AUTHORS:
            days = authors_days(runs)
            return {run["id"]: DAY * days.get(run["id"], 0.0) for run in runs}
        return {id_: one.hours or 0.0 for id_, one in self.known.estimates(runs).items()}

    def by_default(self, plan: Plan) -> dict[str, float]:
        """Hours of each run that a plan makes by default."""
        hours = self.of(plan)
        return {id_: hours[id_] for id_ in plan.by_default().runs}

    def hours(self, part: Parameters) -> float:
        """Hours of all that a parameter file builds by default."""
        return sum(self.by_default(make_plan(part)).values())


@dataclass(frozen=True)
class Ladder:
    """The steps of the ladder in the folder of a parameter file, with the hours of each; and the sequential plan."""

    steps: tuple[Part, ...]  # of a step with those before it
    looks: LooksCost | None
    largest: Plan | None  # the last step; without steps the sequential plan
    prices: Prices


def ladder(file: Path, known: Known) -> Ladder:
    """The ladder in the folder of a parameter file; if that has looks, with it as the sequential plan."""
    settings, other = read_parameters(file), file.with_name(f"{SEQUENTIAL}.yaml")
    named = [file.with_name(f"{step.profile}.yaml") for step in STEPS]
    plans = [make_plan(read_parameters(one)) for one in named if one.is_file()]
    own = settings if settings.looks else read_parameters(other) if other.is_file() else None
    sequential = make_plan(own) if own else None
    prices = Prices.alike([*plans, *([sequential] if sequential else [])], known)
    looks = looks_cost(sequential, prices.of(sequential)) if sequential else None
    largest = plans[-1] if plans else sequential
    steps, total = list[Part](), dict[str, float]()
    for plan in plans:
        total |= prices.by_default(plan)
        steps.append(Part(plan.parameters, sum(total.values())))
    return Ladder(tuple(steps), looks, largest, prices)


def has_ladder(file: Path) -> bool:
    """Whether a parameter file is a step of the ladder, with the others beside it."""
    names = [f"{step.profile}.yaml" for step in STEPS]
    return file.name in names and all(file.with_name(name).is_file() for name in names)


def ladder_lines(file: Path, known: Known) -> Iterator[RenderableType]:
    """The steps with their hours and questions, the sequential plan, and the power of each claim."""
    found = ladder(file, known)
    rows, cost = table("step", "hours", "answers", left=("answers",)), found.looks
    for one in found.steps:
        rows.add_row(one.parameters.profile, number(one.hours), ANSWERS[one.parameters.profile])
    if cost:
        least, most = (number(cost.fixed + look.most) for look in (cost.looks[0], cost.looks[-1]))
        expected = f"The same, seeds only where they decide: expected {_all_of(cost)}."
        rows.add_row(cost.profile, f"{least} to {most}", expected)
    yield rows
    yield f"Hours: {found.prices.unit}. Those of a step include the steps before it."
    if cost and found.largest:
        yield from _looks(cost)
        yield from power_lines(found.largest, known.root)


def looks_lines(plan: Plan, known: Known) -> Iterator[RenderableType]:
    """What the looks of a sequential plan cost and leave open, and what was decided at those that are over."""
    prices = Prices.alike([plan], known)
    yield from _looks(looks_cost(plan, prices.of(plan)))
    yield f"Hours: {prices.unit}."
    looked = read_looked(known.root / "results" / plan.parameters.profile)
    if looked and looked.judged:
        yield text(looked)


def _looks(cost: LooksCost) -> Iterator[RenderableType]:
    rows = table("look", "seeds", "hours by then", "at most", "numbers open", "claims open")
    for at, look in enumerate(cost.looks, start=1):
        claims = "/".join(f"{sum(one.values()):.1f}" for one in look.claims)
        numbers = "/".join(f"{one:.0%}" for one in look.numbers)
        hours, most = "/".join(map(number, look.hours)), number(look.most)
        rows.add_row(str(at), str(look.seeds), hours, most, numbers, f"{claims} of {len(look.claims[0])}")
    yield rows
    yield f"Expected if {TRUE}/if {NONE}, without what rests on the best of the seeds. Open: not decided by then."


def _all_of(cost: LooksCost) -> str:
    """The expected hours of all looks, and of what rests on the best of the seeds."""
    return "/".join(number(cost.fixed + hours) for hours in cost.looks[-1].hours)


def fitting_lines(file: Path, known: Known, budget: float, out: Path | None = None) -> Iterator[str]:
    """What fits into a budget of hours, what it promises and what stays open; with `out` it is written there."""
    found = ladder(file, known)
    yield f"Hours: {found.prices.unit}."
    if found.steps:
        part = fitting(found, budget)
        yield from _part_lines(part, found.steps, budget, out) if part else _nothing(found, budget, out)
    if found.looks:
        yield from _looks_that_fit(found.looks, budget)


def fitting(found: Ladder, budget: float) -> Part | None:
    """The largest honest part of the ladder that fits; None if not even one training does."""

    def fewer(part: Part, fewest: int) -> Part | None:
        kept, most = with_most_seeds(part.parameters, fewest, budget, found.prices.hours), most_seeds(part.parameters)
        if kept is None:
            return None
        seeds = most_seeds(kept.parameters)
        return replace(kept, lacks=(f"{seeds} instead of {most} seeds",) * (seeds < most) + part.lacks)

    for step in reversed(found.steps):
        if kept := step if step.hours <= budget else fewer(step, FEWEST_SEEDS):
            return kept
    for fewest in (2, 1):
        if fits := [kept for part in _smaller(found) if (kept := fewer(part, fewest))]:
            return max(fits, key=lambda part: part.hours)
    return None


def _smaller(found: Ladder) -> Iterator[Part]:
    """The first step, without other methods' cells, on one data set, and both; before fewer seeds."""
    whole = found.steps[0].parameters
    own = replace(whole, published=tuple(name for name in whole.published if name.startswith(OWN)))
    others = ", ".join(name for name in whole.published if name not in own.published)
    role = next(iter(whole.datasets))
    tables = tuple(name for name in whole.tables if set(TARGETS[name].needs) <= {role})
    for on in ((), (f"on {ROLES[role].printed} alone",)):
        for kept, lacks in ((whole, ()), (own, (f"without the cell of {others}",))):
            part = replace(kept, datasets={role: kept.datasets[role]}, tables=tables) if on else kept
            yield Part(part, found.prices.hours(part), (*lacks, *on))


def _part_lines(part: Part, steps: Sequence[Part], budget: float, out: Path | None) -> Iterator[str]:
    settings, name, seeds = part.parameters, part.parameters.profile, most_seeds(part.parameters)
    words = ", ".join([name, *part.lacks])
    yield f"{budget:g} hours: {words}: {number(part.hours)} h."
    yield f"It answers: {ANSWERS[name]}"
    if seeds == 1:
        yield ONE_SEED
    else:
        few = f" ({FEWEST_SEEDS} seeds: {detectable(FEWEST_SEEDS):.2f})" if seeds < FEWEST_SEEDS else ""
        points = f"from {detectable(seeds):.2f} points on{few}"
        yield f"{seeds} seeds find a difference from Table 1's CIFAR-10 number four times in five {points}."
    at = [one.parameters.profile for one in steps].index(name)
    if part.lacks:
        yield f"Open: the same with all seeds, cells and data sets ({name}, {number(steps[at].hours)} h)"
    for one in steps[at + 1 :]:
        yield f"Open: {ANSWERS[one.parameters.profile]} ({one.parameters.profile}, {number(one.hours)} h)"
    if out:
        words += f", for {budget:g} hours"
        description = f"{settings.description.rstrip('.')}: {words}."
        write_parameters(replace(settings, profile=out.stem, description=description), out, [f"{words}."])
        yield f"{out}: written."
    elif part.lacks:
        yield "With --out FILE it is written as a parameter file."


def _nothing(found: Ladder, budget: float, out: Path | None) -> Iterator[str]:
    least = min(found.prices.hours(with_seeds(part.parameters, 1)) for part in _smaller(found))
    yield f"Nothing of the ladder fits {budget:g} hours: one seed of the authors' cell takes {number(least)}."
    if out:
        raise DropnasError(f"nothing fits into {budget:g} hours, so nothing is written", where=out)


def _looks_that_fit(cost: LooksCost, budget: float) -> Iterator[str]:
    name, first, most = cost.profile, cost.looks[0], cost.fixed + cost.looks[-1].most
    if most <= budget:
        yield f"All of {name} fits: at most {number(most)} h, expected {_all_of(cost)}."
    fits = [look for look in cost.looks if max(look.hours) <= budget]
    if not fits:
        takes = f"its first look, {first.seeds} seeds of everything, takes {number(first.most)}"
        yield f"Of {name} nothing fits: {takes}."
        return
    last, seeds = fits[-1], ", ".join(str(look.seeds) for look in fits)
    hours = f"expected {'/'.join(map(number, last.hours))} h, at most {number(last.most)} h"
    yield f"Looks of {name} that fit: {seeds} seeds, {hours}."
    yield f"Then open, if {TRUE}: {last.numbers[0]:.0%} of the printed numbers, and these claims:"
    for claim, chance in last.claims[0].items():
        if chance >= OPEN:
            yield f"  {claim} (open in {chance:.0%} of simulated reproductions)"


def power_lines(plan: Plan, root: Path) -> Iterator[RenderableType]:
    """The smallest difference that the test of each claim of a plan finds in four cases of five, in points of error."""
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
