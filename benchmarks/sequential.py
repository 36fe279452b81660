"""Simulates reproductions whose true errors are known, and in which only undecided experiments get more seeds.

At each look, all verdicts are judged from the seeds computed so far. This benchmark simulates two schedules: looks at
3, 4, 5, 6, 7 and 8 seeds, and looks at 3, 5, 8 and 16 seeds. For each schedule, it prints the share of reproductions
that have a wrong verdict at any look. It also prints the cost, compared with eight seeds for every experiment. `--tiny`
draws fewer reproductions.

Design choices: the questions are those of `params/paper.yaml`, and verdicts are judged by the same code as for real
runs. In the worst case for a claim, one of its comparisons has no true difference, and all others have differences that
are easy to detect. A table counts as wrong if any of its verdicts is wrong. Costs are in V100-days: for a search, the
time that the authors report; for a retraining, one day. ImageNet, the augmented trainings and Figure 5 are left out,
because they cost the same in a sequential plan as in a fixed one.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import NEVER, LookState, QuestionArrays
from dropnas.analysis.questions import Claim, Questions
from dropnas.analysis.simulated_looks import BLOCK, Truth, simulate
from dropnas.analysis.verdict import LEVEL
from dropnas.config import read_parameters
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.monitor.work import AUTHORS_RETRAINING_DAYS
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.plan_questions import PlanQuestions, questions_of

PARAMETERS = Path("params/paper.yaml")
SCHEDULES = ((3, 4, 5, 6, 7, 8), (3, 5, 8, 16))
FIXED = (8,)
COUNT, FEW = 10_000, 400
EASILY = 10.0  # difference between two experiments that is easy to detect, in standard deviations
SCATTER = {"equal": 1.0, "ours half": 0.5, "ours twice": 2.0}


def measure(device: str, *, tiny: bool = False) -> Iterator[tuple[str, Any]]:
    """The shares of wrong verdicts, and the costs."""
    if not PARAMETERS.is_file():
        raise DropnasError("no parameter file", where=PARAMETERS, remedy="start it in the root of the project")
    asking, count = questions_of(make_plan(read_parameters(PARAMETERS))), FEW if tiny else COUNT
    yield "reproductions of each case", count
    for schedule in SCHEDULES:
        yield f"hours, looks {schedule}", hours(asking, schedule, count)
        for name, scatter in SCATTER.items():
            yield f"wrong verdicts, looks {schedule}, {name}", wrong(asking.questions, schedule, count, scatter)
    yield f"no looks, {FIXED[0]} seeds", hours(asking, FIXED, count)


def hours(asking: PlanQuestions, schedule: tuple[int, ...], count: int) -> dict[str, dict[str, Any]]:
    """The relative cost, the share of numbers that are decided, and how often each claim holds, in two cases.

    The cost is relative to eight seeds for every experiment. In the first case, the paper's numbers are true. In the
    second case, every method has the error of DropNAS.
    """
    questions = asking.questions
    days = np.array([ROLES[one.role].search_days + AUTHORS_RETRAINING_DAYS for one in asking.experiments])
    stds = np.array([prior.std for prior in questions.priors])
    truths = {"the paper's numbers": _means(questions), "no effect": without_effect(asking)}
    found = {}
    for name, means in truths.items():
        result = simulate(questions, schedule, Truth(means, stds), count)
        share = result.seeds @ days / (FIXED[0] * days.sum())
        low, high = np.quantile(share, [0.05, 0.95])
        found[name] = {
            "share": round(float(share.mean()), 4),
            "5 % to 95 %": [round(float(low), 3), round(float(high), 3)],
            "numbers decided": round(float((result.number_since != NEVER).mean()), 3),
            "claims that hold": _by_claim(questions, result.holds.mean(axis=0)),
        }
    return found


def wrong(questions: Questions, schedule: tuple[int, ...], count: int, scatter: float) -> dict[str, float]:
    """For each kind of wrong verdict, the share of reproductions affected at any look, in the worst table or claim.

    Args:
        questions, schedule: the questions, and the number of seeds at each look.
        count: number of reproductions.
        scatter: standard deviations of our runs, as multiples of the paper's.
    """
    stds = scatter * np.array([prior.std for prior in questions.priors])
    claims = replace(questions, numbers=())
    none = simulate(claims, schedule, Truth(np.zeros(len(stds)), stds), count, seed=2)
    return {
        "differs, no difference": max(_differs(_simulated(questions, schedule, stds, 0.0, count))),
        "agrees, differences at the margin": max(_agrees(_simulated(questions, schedule, stds, 1.0, count))),
        "a claim holds, no effect": float(none.holds.mean(axis=0).max()),
        "a claim is contradicted, no effect": float(none.contradicted.mean(axis=0).max()),
        "a claim holds, worst case": max(worst(questions, schedule, stds, count).values()),
    }


def _means(questions: Questions) -> Array:
    return np.array([prior.mean for prior in questions.priors])


def without_effect(asking: PlanQuestions) -> Array:
    """The true errors if every method has the error that the paper prints for DropNAS on the same data set."""
    base = {role: _dropnas(asking, role) for role in {one.role for one in asking.experiments}}
    return np.array([base[one.role] for one in asking.experiments])


def _dropnas(asking: PlanQuestions, role: str) -> float:
    table = ROLES[role].table
    return next(one.printed for one in asking.questions.numbers if one.family == table and one.row == "dropnas")


def _simulated(
    questions: Questions, schedule: tuple[int, ...], stds: Array, margins: float, count: int
) -> tuple[Questions, LookState]:
    """Simulate reproductions; for each, the runs of the paper are drawn anew.

    Our true errors are shifted by `margins` times the margin of each number.
    """
    truth = Truth(shifted(questions, margins), stds)
    return questions, simulate(questions, schedule, truth, count, seed=1, paper=_drawn_again)


def _drawn_again(questions_of: QuestionArrays, random: np.random.Generator, count: int) -> QuestionArrays:
    """Draw the paper's eight runs of each experiment around the printed numbers; round the results to two decimals."""
    priors, of = questions_of.questions.priors, questions_of.questions.numbers[0].of
    stds = np.array([prior.std for prior in priors])
    noise = random.normal(size=(BLOCK, len(priors), of))
    errors = (_means(questions_of.questions)[:, None] + stds[:, None] * noise)[:count]
    mean, std = (np.round(values, 2)[:, questions_of.own] for values in (errors.mean(axis=2), errors.std(axis=2)))
    return replace(questions_of, printed=mean, printed_std=std * np.sqrt(of / (of - 1)))


def _differs(found: tuple[Questions, LookState]) -> Iterator[float]:
    questions, result = found
    shown = (result.differs <= LEVEL) & (result.agrees > LEVEL)
    yield from (float(shown[:, family].any(axis=1).mean()) for family in _families(questions))


def _agrees(found: tuple[Questions, LookState]) -> Iterator[float]:
    questions, result = found
    shown = result.agrees <= LEVEL
    yield from (float(shown[:, family].any(axis=1).mean()) for family in _families(questions))


def _families(questions: Questions) -> Iterator[list[int]]:
    for name in dict.fromkeys(one.family for one in questions.numbers):
        yield [index for index, one in enumerate(questions.numbers) if one.family == name]


def worst(questions: Questions, schedule: tuple[int, ...], stds: Array, count: int) -> dict[str, float]:
    """For each claim, how often it holds if one comparison has no difference and all others have large ones."""
    found = {}
    for claim in questions.claims:
        alone, used = _alone(questions, claim)
        means = np.zeros(len(used))
        for contrast in alone.claims[0].contrasts[1:]:
            means[list(contrast.higher)] = EASILY * stds.max()
        result = simulate(alone, schedule, Truth(means, stds[used]), count, seed=3)
        found[claim.claim] = float(result.holds.mean())
    return found


def _alone(questions: Questions, claim: Claim) -> tuple[Questions, list[int]]:
    """Questions with only this claim and its experiments, and the indices of these experiments."""
    used = sorted({at for one in claim.contrasts for at in (*one.lower, *one.higher)})

    def renumbered(places: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(map(used.index, places))

    contrasts = tuple(
        replace(one, lower=renumbered(one.lower), higher=renumbered(one.higher)) for one in claim.contrasts
    )
    names, priors = tuple(questions.experiments[at] for at in used), tuple(questions.priors[at] for at in used)
    return Questions(names, priors, (), (replace(claim, contrasts=contrasts),)), used


def _by_claim(questions: Questions, shares: Array) -> dict[str, float]:
    names = [claim.claim for claim in questions.claims]
    return {name: round(float(share), 3) for name, share in zip(names, shares, strict=True)}


def shifted(questions: Questions, margins: float) -> Array:
    """The means of the priors, shifted for experiments that have a printed number.

    The shift is `margins` times the margin of the number, alternately up and down.
    """
    means = _means(questions)
    moved: dict[int, Any] = {}
    for number in questions.numbers:
        moved.setdefault(number.experiment, (-1) ** len(moved) * number.margin * margins)
    means[list(moved)] += list(moved.values())
    return means
