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
from dropnas.analysis.simulated_looks import Truth, simulate
from dropnas.data.config import ROLES
from dropnas.pipeline.asked import Asking, asked
from dropnas.pipeline.plan import Plan

COUNT = 200  # simulated reproductions; the expected hours are then known to about half a percent
TRUE, NONE = "the paper's numbers are true", "no method differs from another"


@dataclass(frozen=True)
class Expected:
    """What is expected at each look if something is true; open is what is not decided then."""

    hours: list[float]  # of the seeds by then
    numbers: list[float]  # share of the printed numbers that is open
    claims: list[dict[str, float]]  # chance of each claim to be open


@dataclass(frozen=True)
class LooksCost:
    """What a sequential plan costs, in the unit of the prices."""

    profile: str
    schedule: tuple[int, ...]  # seeds at each look
    fixed: float  # hours that do not depend on the number of seeds
    until: tuple[float, ...]  # the most hours of the seeds by each look
    true: Expected
    none: Expected


def looks_cost(plan: Plan, prices: Mapping[str, float]) -> LooksCost:
    """The cost of a sequential plan, of which the runs of the first look are planned, by the price of each run's id."""
    asking, schedule = asked(plan), plan.parameters.looks
    retrainings = plan.parameters.retrainings
    each = np.array(
        [prices[one.searches[0].id] + retrainings * prices[one.trainings[0].id] for one in asking.experiments]
    )
    until = tuple(n * float(each.sum()) for n in schedule)
    fixed = sum(prices[id_] for id_ in plan.by_default().runs) - until[0]
    true, none = (_expected(asking, schedule, truth, each) for truth in truths(asking))
    return LooksCost(plan.parameters.profile, schedule, fixed, until, true, none)


def truths(asking: Asking) -> tuple[Truth, Truth]:
    """What may be true: the paper's numbers, or every method as good as DropNAS."""
    priors = asking.questions.priors
    means, stds = np.array([prior.mean for prior in priors]), np.array([prior.std for prior in priors])
    lowest = {role: _dropnas(asking, role, means) for role in ROLES}
    return Truth(means, stds), Truth(np.array([lowest[one.role] for one in asking.experiments]), stds)


def _dropnas(asking: Asking, role: str, means: Array) -> float:
    """The mean of DropNAS in the original space; of the first experiment on the data set where it is not asked for."""
    of_role = [at for at, one in enumerate(asking.experiments) if one.role == role]
    known = [at for at in of_role if asking.experiments[at].searches[0].name.endswith("-original-dropnas-seed0")]
    return float(means[(known or of_role)[0]]) if of_role else 0.0


def _expected(asking: Asking, schedule: tuple[int, ...], truth: Truth, each: Array) -> Expected:
    found = simulate(asking.questions, schedule, truth, COUNT)

    def open_at(since: NDArray[np.int64], look: int) -> Array:
        return np.asarray(((since == NEVER) | (since > look)).mean(axis=0))

    claims, looks = [one.claim for one in asking.questions.claims], range(len(schedule))
    numbers = [open_at(found.judged.number_since, look) for look in looks]
    chances = [open_at(found.judged.claim_since, look).tolist() for look in looks]
    return Expected(
        [float((np.minimum(found.seeds, n) @ each).mean()) for n in schedule],
        [float(one.mean()) if one.size else 0.0 for one in numbers],
        [dict(zip(claims, one, strict=True)) for one in chances],
    )
