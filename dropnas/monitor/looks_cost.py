"""What a sequential plan costs: at least, at most, and expected, by simulated reproductions; and what each look leaves.

An experiment's seed costs its search and its retrainings; what rests on the best of the seeds, and all else, costs the
same however many seeds there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import NEVER
from dropnas.analysis.questions import Questions
from dropnas.analysis.simulated_looks import Simulated, Truth, simulate
from dropnas.data.config import ROLES
from dropnas.pipeline.asked import Asking, asked
from dropnas.pipeline.plan import Plan

COUNT = 200  # simulated reproductions; the expected hours are then known to about half a percent
TRUE, NONE = "the paper's numbers are true", "no method differs from another"


@dataclass(frozen=True)
class Expected:
    """What is expected of one truth.

    Attributes:
        hours: of the whole plan.
        after: hours by each look, of what is done then.
        open: for each look the share of printed numbers that are not decided then.
        open_claims: for each look the chance of each claim that it is not decided then.
    """

    hours: float
    after: tuple[float, ...]
    open: tuple[float, ...]
    open_claims: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class LooksCost:
    """What a sequential plan costs, in the unit of the prices.

    Attributes:
        schedule: seeds at each look.
        least, most: if no experiment goes on after the first look, and if all get the most seeds.
        until: at most, by each look.
        expected: by truth.
    """

    schedule: tuple[int, ...]
    least: float
    most: float
    until: tuple[float, ...]
    expected: Mapping[str, Expected]


def looks_cost(plan: Plan, prices: Mapping[str, float]) -> LooksCost:
    """The cost of a sequential plan.

    Args:
        plan: of the parameter file, with the seeds of the first look.
        prices: of each run, by its id.
    """
    asking, schedule = asked(plan), plan.parameters.looks
    default, first, retrainings = plan.by_default().runs, schedule[0], plan.parameters.retrainings
    each = np.array(
        [prices[one.searches[0].id] + retrainings * prices[one.trainings[0].id] for one in asking.experiments]
    )
    fixed = sum(prices[id_] for id_ in default) - first * float(each.sum())
    until = tuple(n * float(each.sum()) for n in schedule)
    expected = {
        name: _expected(asking.questions, schedule, truth, each, fixed) for name, truth in truths(asking).items()
    }
    return LooksCost(schedule, fixed + until[0], fixed + until[-1], until, expected)


def truths(asking: Asking) -> dict[str, Truth]:
    """What may be true: the paper's numbers, or every method as good as DropNAS."""
    questions = asking.questions
    stds = np.array([prior.std for prior in questions.priors])
    means = np.array([prior.mean for prior in questions.priors])
    lowest = {role: _dropnas(asking, role, means) for role in ROLES}
    equal = np.array([lowest[one.role] for one in asking.experiments])
    return {TRUE: Truth(means, stds), NONE: Truth(equal, stds)}


def _dropnas(asking: Asking, role: str, means: Array) -> float:
    """The mean of DropNAS in the original space; of the first experiment on the data set where it is not asked for."""
    of_role = [at for at, one in enumerate(asking.experiments) if one.role == role]
    known = [at for at in of_role if asking.experiments[at].searches[0].name.endswith("-original-dropnas-seed0")]
    return float(means[(known or of_role)[0]]) if of_role else 0.0


def _expected(questions: Questions, schedule: tuple[int, ...], truth: Truth, each: Array, fixed: float) -> Expected:
    found: Simulated = simulate(questions, schedule, truth, COUNT)
    after, numbers, claims = [], [], []
    for look, n in enumerate(schedule):
        after.append(float((np.minimum(found.seeds, n) @ each).mean()))
        numbers.append(_open(found.judged.number_since, look))
        shares = ((found.judged.claim_since == NEVER) | (found.judged.claim_since > look)).mean(axis=0)
        claims.append({one.claim: float(share) for one, share in zip(questions.claims, shares, strict=True)})
    return Expected(fixed + after[-1], tuple(after), tuple(numbers), tuple(claims))


def _open(since: NDArray[np.int64], look: int) -> float:
    return float(((since == NEVER) | (since > look)).mean()) if since.size else 0.0
