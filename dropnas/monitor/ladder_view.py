"""What `plan` prints for the ladder (docs/ladder.md): hours of the steps, power of the tests, what fits into a budget.

The steps of the ladder are parameter files, each with the runs of the steps before it. The sequential plan has the runs
of the last step, but adds seeds only for undecided questions. Its looks are interim tests, made after certain numbers
of seeds.

The hours are given for the user's device if they are known for all runs. Otherwise they are the authors' hours on a
V100, without ImageNet. Each answer states its unit.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pandas import DataFrame, Series
from rich.console import RenderableType

from dropnas.analysis.power import smallest
from dropnas.config import Parameters, read_parameters, write_parameters
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.monitor.budget import FEWEST_SEEDS, PlanPart, detectable, fitting, most_seeds
from dropnas.monitor.estimate import Known, number
from dropnas.monitor.looks_view import expected, looks_cost, looks_table, looks_that_fit
from dropnas.monitor.screen import table
from dropnas.pipeline.freeze import descriptions
from dropnas.pipeline.judging import deviations
from dropnas.pipeline.ladder import LADDER_STEPS, SEQUENTIAL
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.pipeline.plan_questions import questions_of
from dropnas.report.looked import read_looked, text

SHOWN_SEEDS = (3, 5, 8, 16)
AUTHORS_UNIT = "V100-hours at the authors' speed (searches as printed, a day for a retraining), without ImageNet"
FOUND = "smallest difference detected with 80 % probability"
ANSWERS = {step.profile: step.answers for step in LADDER_STEPS}


class Costed(NamedTuple):
    """A plan, with a table of the runs that are built by default (`Known.frame`)."""

    plan: Plan
    runs: DataFrame

    @classmethod
    def of(cls, parameters: Parameters, known: Known) -> "Costed":
        """The plan of a parameter file, with the table of its runs."""
        plan = make_plan(parameters)
        return cls(plan, known.frame([*descriptions(plan.by_default())]))


@dataclass(frozen=True)
class Ladder:
    """The plans of the ladder, or a single plan, with the known times."""

    known: Known
    steps: tuple[Costed, ...]
    sequential: Costed | None  # the sequential plan, if there is one

    @cached_property
    def unit(self) -> str:
        """The unit of the hours of all plans.

        Raises:
            DropnasError: the hours of a run are unknown, and at least one plan is not a reproduction. (If all plans are
                reproductions, the authors' hours are used instead.)
        """
        plans = [*self.steps, *filter(None, [self.sequential])]
        unknown = sum(one.runs.hours.isna().sum() for one in plans)
        if unknown and not all(one.plan.parameters.reproduction for one in plans):
            remedy = "run plan --measure on the machine that will run them"
            raise DropnasError(f"the hours of {unknown} runs are unknown", remedy=remedy)
        device = self.known.device
        return f"{device.unit} on {device.label}" if device and not unknown else AUTHORS_UNIT

    def hours(self, runs: DataFrame) -> DataFrame:
        """The `hours` of each run and the hours `left`, in the ladder's unit."""
        hours = runs.authors if self.unit == AUTHORS_UNIT else runs.hours
        return DataFrame({"hours": hours, "left": hours.mask(runs.basis == "took", 0.0)})

    def of_steps(self) -> DataFrame:
        """The hours and the hours left of each step, by profile; both include the steps before it."""
        runs, found = DataFrame(), {}
        for step in self.steps:
            runs = self.hours(step.runs).combine_first(runs)
            found[step.plan.parameters.profile] = runs.sum()
        return DataFrame(found).T

    def looks(self) -> DataFrame:
        """The cost of the looks (`looks_cost`); empty without a sequential plan."""
        if not self.sequential:
            return DataFrame()
        return looks_cost(self.sequential.plan, self.hours(self.sequential.runs).hours)

    def left(self, part: Parameters) -> float:
        """The remaining hours of the runs that are built by default for these parameters."""
        return float(self.hours(Costed.of(part, self.known).runs).left.sum())


def ladder(file: Path, known: Known, *, requested: bool = False) -> Ladder:
    """Read the ladder in the folder of a parameter file, or only the plan of this file.

    Read the whole ladder if the file sets looks or is a step, or if `requested` is true and there are steps.
    """
    settings = read_parameters(file)
    steps = [one for step in LADDER_STEPS if (one := file.with_name(f"{step.profile}.yaml")).is_file()]
    looks = file if settings.looks else file.with_name(f"{SEQUENTIAL}.yaml")
    if not ((requested and steps) or settings.looks or file in steps):
        return Ladder(known, (Costed.of(settings, known),), None)
    sequential = Costed.of(read_parameters(looks), known) if looks.is_file() else None
    return Ladder(known, tuple(Costed.of(read_parameters(one), known) for one in steps), sequential)


def ladder_lines(file: Path, known: Known) -> Iterator[RenderableType]:
    """The table of the steps and the sequential plan, the looks, and the power of each claim."""
    found = ladder(file, known, requested=True)
    rows = [(step, number(cost.hours), ANSWERS.get(str(step), "")) for step, cost in found.of_steps().iterrows()]
    looks = found.looks()
    if found.sequential:
        least, *_, most = (looks.fixed + looks.most).map(number)
        answer = f"The same, with more seeds only where they decide: expected {expected(looks)}."
        rows.append((found.sequential.plan.parameters.profile, f"{least} to {most}", answer))
    yield table(DataFrame(rows, columns=["step", "hours", "answers"]), words="answers")
    yield f"Hours: {found.unit}. Those of a step include the steps before it."
    if found.sequential:
        yield from looks_table(looks)
    yield from power_lines([*filter(None, [found.sequential]), *found.steps][-1].plan, known.root)


def looks_lines(plan: Plan, runs: DataFrame, known: Known) -> Iterator[RenderableType]:
    """The costs and open questions of the looks of a sequential plan, and the decisions of past looks."""
    alone = Ladder(known, (), Costed(plan, runs))
    if plan.parameters.reproduction or not runs.hours.isna().any():
        yield from looks_table(alone.looks())
        yield f"Hours: {alone.unit}."
    looked = read_looked(known.root / "results" / plan.parameters.profile)
    if looked and looked.judged:
        yield text(looked)


def fitting_lines(
    file: Path, known: Known, budget: float, out: Path | None = None, *, requested: bool = False
) -> Iterator[str]:
    """Say what fits into a budget of hours, which questions this answers, and which questions stay open.

    Args:
        out: where to write a parameter file with the part that fits.
        requested: see `ladder`.

    Raises:
        DropnasError: the budget is not finite, or nothing fits.
    """
    if not math.isfinite(budget):
        raise DropnasError("not a number of hours", where=f"--gpu-hours {budget}", remedy="such as --gpu-hours 200")
    found = ladder(file, known, requested=requested)
    yield f"Hours: {found.unit}."
    if found.steps:
        hours = found.of_steps().left
        steps = [
            PlanPart(step.plan.parameters, step_hours) for step, step_hours in zip(found.steps, hours, strict=True)
        ]
        part = fitting(steps, budget, found.left, (2, 1) if len(steps) > 1 else (FEWEST_SEEDS,))
        yield from _part_lines(part, hours, budget)
        if out:
            words = f"{', '.join([part.parameters.profile, *part.lacks])}, for {budget:g} hours."
            description = f"{part.parameters.description.rstrip('.')}: {words}"
            write_parameters(replace(part.parameters, profile=out.stem, description=description), out, [words])
            yield f"{out}: written."
        elif part.lacks:
            yield "Add --out FILE to write this part as a parameter file."
    if found.sequential:
        yield from looks_that_fit(found.sequential.plan.parameters.profile, found.looks(), budget)


def _part_lines(part: PlanPart, hours: "Series[float]", budget: float) -> Iterator[str]:
    name, seeds = part.parameters.profile, most_seeds(part.parameters)
    yield f"{budget:g} hours: {', '.join([name, *part.lacks])}: {number(part.hours)} h."
    if seeds == 1:
        yield "With one seed nothing can be tested: its errors are only shown next to the printed ones."
    elif part.parameters.reproduction:
        few = f" ({FEWEST_SEEDS} seeds: {detectable(FEWEST_SEEDS):.2f})" if seeds < FEWEST_SEEDS else ""
        points = f"{detectable(seeds):.2f} points{few}"
        yield f"{seeds} seeds detect a difference of {points} from Table 1's CIFAR-10 number with 80 % probability."
    if name in ANSWERS:
        yield f"It answers: {ANSWERS[name]}"
    if part.lacks:
        yield f"Open: all of {name} ({number(hours[name])} h)"
    for later, needed in hours[name:].iloc[1:].items():
        yield f"Open: {ANSWERS[str(later)]} ({later}, {number(needed)} h)"


def power_lines(plan: Plan, root: Path) -> Iterator[RenderableType]:
    """The smallest difference that the test of each claim detects with 80 % probability, in points of error."""
    asking = questions_of(plan)
    stds, ours = deviations(asking, root)
    if not stds.all():
        return
    by_seeds, rows = [smallest(asking.questions, stds, n) for n in SHOWN_SEEDS], []
    for at, claim in enumerate(asking.questions.claims):
        roles = [ROLES[asking.experiments[contrast.lower[0]].role].printed for contrast in claim.contrasts]
        hardest = DataFrame([found[at] for found in by_seeds], columns=roles).T.groupby(level=0).max()
        rows += [(f"{role}: {claim.claim}", *points.map("{:.2f}".format)) for role, points in hardest.iterrows()]
    yield table(DataFrame(rows, columns=[FOUND, *(f"{n} seeds" for n in SHOWN_SEEDS)]), words=FOUND)
    also = f" and our deviations of {ours} of {len(stds)} experiments" if ours else "; we have none yet"
    yield f"In points of test error, for the hardest comparison of a claim, from the paper's deviations{also}."
