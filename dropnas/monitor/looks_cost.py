"""What a sequential plan costs: at least, at most, and expected, by simulated reproductions; and what each look leaves.

An experiment's seed costs its search and its retrainings; what rests on the best of the seeds, and all else, costs the
same however many seeds there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import NEVER, Judged
from dropnas.analysis.simulated_looks import Truth, simulate
from dropnas.data.config import ROLES
from dropnas.pipeline.asked import Asking, asked
from dropnas.pipeline.plan import Plan

COUNT = 200  # simulated reproductions; the expected hours are then known to about half a percent
TRUE, NONE = "the paper's numbers are true", "no method differs from another"


@dataclass(frozen=True)
class Look:
    """What is expected of a look; lists hold a value if the paper's numbers are true and one if no method differs."""

    seeds: int  # of what is not decided before
    most: float  # hours of the seeds by then, if nothing is decided before
    hours: list[float]  # the expected ones
    numbers: list[float]  # share of the printed numbers that is not decided then
    claims: list[dict[str, float]]  # chance of each claim that it is not decided then


@dataclass(frozen=True)
class LooksCost:
    """What a sequential plan costs, in the unit of the prices."""

    profile: str
    fixed: float  # hours that do not depend on the number of seeds
    looks: tuple[Look, ...]


def looks_cost(plan: Plan, prices: Mapping[str, float]) -> LooksCost:
    """The cost of a sequential plan, of which the runs of the first look are planned, by the price of each run's id."""
    asking, schedule, retrainings = asked(plan), plan.parameters.looks, plan.parameters.retrainings
    hours = [prices[one.searches[0].id] + retrainings * prices[one.trainings[0].id] for one in asking.experiments]
    found = [simulate(asking.questions, schedule, truth, COUNT) for truth in truths(asking)]
    looks = tuple(_look(at, seeds, np.array(hours), found, asking) for at, seeds in enumerate(schedule))
    fixed = sum(prices[id_] for id_ in plan.by_default().runs) - looks[0].most
    return LooksCost(plan.parameters.profile, fixed, looks)


def _look(at: int, seeds: int, each: Array, found: Sequence[Judged], asking: Asking) -> Look:
    def open_(since: NDArray[np.int64]) -> list[float]:
        return list(((since == NEVER) | (since > at)).mean(axis=0).tolist())

    names = [one.claim for one in asking.questions.claims]
    hours = [float((np.minimum(one.seeds, seeds) @ each).mean()) for one in found]
    numbers = [open_(one.number_since) for one in found]
    claims = [dict(zip(names, open_(one.claim_since), strict=True)) for one in found]
    return Look(seeds, seeds * float(each.sum()), hours, [fmean(one or [0.0]) for one in numbers], claims)


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
