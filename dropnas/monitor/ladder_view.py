"""What `plan` says of the ladder and of looks: hours at least, expected, at most; what fits a budget; power.

Hours are those that are known for the device; where some are unknown, those of the authors on a V100, which leave out
ImageNet: the unit is said with each answer, and nothing is invented.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from dropnas.analysis.power import smallest
from dropnas.config import Parameters, read_parameters
from dropnas.data.config import ROLES
from dropnas.monitor.costs import authors_days
from dropnas.monitor.estimate import Known, number
from dropnas.monitor.looks_cost import NONE, TRUE, LooksCost, looks_cost
from dropnas.pipeline.asked import asked
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.judging import deviations
from dropnas.pipeline.ladder import SEQUENTIAL, STEPS
from dropnas.pipeline.plan import Plan, make_plan

DAY = 24.0  # hours
SHOWN_SEEDS = (3, 5, 8, 16)
AUTHORS = "V100-hours at the authors' speed (a search as they print it, a day for a retraining), without ImageNet"
OPEN = 0.5  # chance from which on a claim is named as one that stays open
WIDTH = 120


@dataclass(frozen=True)
class Priced:
    """A parameter file with its plan, the hours of its runs, and those of what it and the steps before it build."""

    profile: str
    plan: Plan
    prices: Mapping[str, float]
    hours: float


@dataclass(frozen=True)
class Ladder:
    """The steps of the ladder in the folder of a parameter file, and the sequential plan."""

    steps: tuple[Priced, ...]
    sequential: Priced | None
    unit: str


def ladder(file: Path, known: Known) -> Ladder:
    """The ladder in the folder of a parameter file; if that has looks, with it as the sequential plan."""
    settings = read_parameters(file)
    named = [file.with_name(f"{step.profile}.yaml") for step in STEPS]
    plans = [make_plan(read_parameters(one)) for one in named if one.is_file()]
    own = settings if settings.looks else _read(file.with_name(f"{SEQUENTIAL}.yaml"))
    priced, unit = priced_alike([*plans, *([make_plan(own)] if own else [])], known)
    return Ladder(tuple(priced[: len(plans)]), priced[-1] if own else None, unit)


def has_ladder(file: Path) -> bool:
    """Whether a parameter file is a step of the ladder, with the others beside it."""
    names = [f"{step.profile}.yaml" for step in STEPS]
    return file.name in names and all(file.with_name(name).is_file() for name in names)


def _read(file: Path) -> Parameters | None:
    return read_parameters(file) if file.is_file() else None


def priced_alike(plans: Sequence[Plan], known: Known) -> tuple[list[Priced], str]:
    """Plans with their hours, all by the same measure so that they can be compared, and what that is."""
    contents = [plan_content(plan)["runs"] for plan in plans]
    estimates = [known.estimates(runs) for runs in contents]
    if all(one.hours is not None for some in estimates for one in some.values()) and known.device:
        prices = [{id_: one.hours or 0.0 for id_, one in some.items()} for some in estimates]
        unit = f"{known.device.unit} on {known.device.label}"
    else:
        days = [authors_days(runs) for runs in contents]
        prices = [
            {run["id"]: DAY * some.get(run["id"], 0.0) for run in runs}
            for runs, some in zip(contents, days, strict=True)
        ]
        unit = AUTHORS
    found: list[Priced] = []
    sum_of: dict[str, float] = {}
    for plan, some in zip(plans, prices, strict=True):
        sum_of |= {id_: some[id_] for id_ in plan.by_default().runs}
        found.append(Priced(plan.parameters.profile, plan, some, sum(sum_of.values())))
    return found, unit


def ladder_lines(file: Path, known: Known) -> Iterator[str]:
    """The steps with their hours and questions, the sequential plan, and the power of each claim."""
    found = ladder(file, known)
    table = _table("step", "hours at least", "expected", "at most", "answers")
    answers = {step.profile: step.answers for step in STEPS}
    for one in found.steps:
        table.add_row(one.profile, *[number(one.hours)] * 3, answers[one.profile])
    cost = looks_cost(found.sequential.plan, found.sequential.prices) if found.sequential else None
    if found.sequential and cost:
        expected = " / ".join(number(cost.expected[name].hours) for name in (TRUE, NONE))
        table.add_row(
            found.sequential.profile,
            number(cost.least),
            expected,
            number(cost.most),
            "Every number, with seeds only where they decide.",
        )
    yield _text(table)
    yield f"Hours: {found.unit}."
    yield f"Those of a step include the steps before it. Expected of looks: if {TRUE} / if {NONE}."
    if found.sequential:
        yield from looks_lines(found.sequential, cost)
        yield from power_lines((found.steps or (found.sequential,))[-1].plan, known.root)


def looks_lines(sequential: Priced, cost: LooksCost | None = None) -> Iterator[str]:
    """What each look of a sequential plan costs and leaves open."""
    cost = cost or looks_cost(sequential.plan, sequential.prices)
    table = _table("look", "seeds", "hours by then", "at most", "numbers open", "claims open")
    for at, seeds in enumerate(cost.schedule):
        both = [cost.expected[name] for name in (TRUE, NONE)]
        table.add_row(
            str(at + 1),
            str(seeds),
            " / ".join(number(one.after[at]) for one in both),
            number(cost.until[at]),
            " / ".join(f"{one.open[at]:.0%}" for one in both),
            " / ".join(f"{sum(one.open_claims[at].values()):.1f} of {len(one.open_claims[at])}" for one in both),
        )
    yield _text(table)
    yield f"Expected if {TRUE} / if {NONE}; without what rests on the best of the seeds."
    yield "Open: not decided by then, whether it goes on or was stopped."


def fitting_lines(file: Path, known: Known, budget: float) -> Iterator[str]:
    """The step and the looks that fit into a budget of hours, and what then stays open."""
    found = ladder(file, known)
    fits = [one for one in found.steps if one.hours <= budget]
    if found.steps:
        least = min(found.steps, key=lambda one: one.hours)
        best = max(fits, key=lambda one: one.hours, default=None)
        answers = {step.profile: step.answers for step in STEPS}
        yield (
            f"Step that fits {budget:g} hours: {best.profile}, {number(best.hours)} h: {answers[best.profile]}"
            if best
            else f"No step fits {budget:g} hours; the smallest, {least.profile}, takes {number(least.hours)}."
        )
    if found.sequential:
        yield from _looks_that_fit(found.sequential, budget)
    yield f"Hours: {found.unit}."


def _looks_that_fit(sequential: Priced, budget: float) -> Iterator[str]:
    cost = looks_cost(sequential.plan, sequential.prices)
    true, none = cost.expected[TRUE], cost.expected[NONE]
    if cost.most <= budget:
        expected = f"{number(true.hours)} / {number(none.hours)}"
        yield f"All of {sequential.profile} fits: at most {number(cost.most)} h, expected {expected}."
    count = sum(max(one.after[at] for one in (true, none)) <= budget for at in range(len(cost.schedule)))
    if not count:
        first = f"{cost.schedule[0]} seeds of everything take {number(cost.until[0])} h"
        yield f"Not even the first look of {sequential.profile} fits: {first}."
        return
    at = count - 1
    seeds = ", ".join(map(str, cost.schedule[:count]))
    hours = f"expected {number(true.after[at])} / {number(none.after[at])} h, at most {number(cost.until[at])} h"
    yield f"Looks of {sequential.profile} that fit: {seeds} seeds, {hours}."
    yield f"Then open, if {TRUE}: {true.open[at]:.0%} of the printed numbers, and these claims:"
    for claim, chance in true.open_claims[at].items():
        if chance >= OPEN:
            yield f"  {claim} (open in {chance:.0%} of simulated reproductions)"


def power_lines(plan: Plan, root: Path) -> Iterator[str]:
    """The smallest difference that each claim's test finds in four cases of five, in points of test error.

    Args:
        plan: whose claims.
        root: of the store, where finished trainings say how much seeds scatter.
    """
    asking = asked(plan)
    stds, ours = deviations(asking, root)
    if not stds.all():
        return
    table = _table("smallest difference found in four of five cases", *(f"{n} seeds" for n in SHOWN_SEEDS))
    by_seeds = [smallest(asking.questions, stds, n) for n in SHOWN_SEEDS]
    for at, claim in enumerate(asking.questions.claims):
        roles = [asking.experiments[contrast.lower[0]].role for contrast in claim.contrasts]
        for role in dict.fromkeys(roles):
            largest = [
                max(value for value, of in zip(found[at], roles, strict=True) if of == role) for found in by_seeds
            ]
            table.add_row(f"{ROLES[role].printed}: {claim.claim}", *(f"{value:.2f}" for value in largest))
    yield _text(table)
    whose = f"and of ours, which {ours} of {len(stds)} experiments have" if ours else "since there are none of ours yet"
    yield f"Points of test error, by the deviations that the paper prints, {whose}; of several comparisons the hardest."
    yield "The boundaries of looks ask for little more at the last look, and for much more at the first."


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, head in enumerate(heads):
        table.add_column(head, justify="left" if at == 0 or head == "answers" else "right")
    return table


def _text(table: Table) -> str:
    console = Console(width=WIDTH)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())
