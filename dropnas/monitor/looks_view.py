"""Simulates reproductions to estimate what the looks of a sequential plan cost and which questions stay open.

A look tests the results so far; only experiments of undecided questions get the seeds of the next look. A seed of an
experiment costs its search and its retrainings. All other runs, such as those of the best seed, cost the same for any
number of seeds.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, Series
from rich.console import RenderableType

from dropnas.analysis.judge_looks import NEVER
from dropnas.analysis.simulated_looks import Truth, simulate
from dropnas.monitor.estimate import number
from dropnas.monitor.screen import table
from dropnas.pipeline.plan import Plan
from dropnas.pipeline.plan_questions import PlanQuestions, questions_of

COUNT = 200  # number of simulated reproductions; with 200, the expected hours have an error of about half a percent
TRUTHS = {"true": "the paper's numbers are true", "none": "no method differs from another"}
CLAIM = "claim: "  # the prefix of the columns of claims
LIKELY_OPEN = 0.5  # claims that stay open with at least this probability are listed


def looks_cost(plan: Plan, each: "Series[float]") -> DataFrame:
    """Return a table of the cost of a sequential plan, with a row for each look.

    The columns are `seeds` (the number of seeds), `most` (the hours if nothing is decided earlier) and `fixed` (the
    hours that do not depend on the seeds). Further columns come from simulated reproductions. For each of TRUTHS, they
    give the expected `hours`, the share of the printed `numbers` that are still undecided after the look, and the
    expected number of undecided `claims`. For each claim, a column gives the probability that it is undecided if the
    paper's numbers are true.

    Args:
        each: the hours of each run up to the first look, indexed by run id.
    """
    asking, schedule, retrainings = questions_of(plan), plan.parameters.looks, plan.parameters.retrainings
    runs = [(one.searches[0].id, one.trainings[0].id) for one in asking.experiments]
    seed = np.array([each[search] + retrainings * each[training] for search, training in runs])
    looks = DataFrame({"seeds": schedule, "most": np.array(schedule) * seed.sum()})
    looks["fixed"] = each.sum() - looks.most[0]
    for name, truth in truths(asking).items():
        made = simulate(asking.questions, schedule, truth, COUNT)
        claims = _open(made.claim_since, looks)
        looks[f"hours {name}"] = [(np.minimum(made.seeds, seeds) @ seed).mean() for seeds in schedule]
        looks[f"numbers {name}"] = _open(made.number_since, looks).mean(axis=1).fillna(0.0)
        looks[f"claims {name}"] = claims.sum(axis=1)
        if name == "true":
            looks[[CLAIM + claim.claim for claim in asking.questions.claims]] = claims
    return looks


def _open(since: NDArray[np.int64], looks: DataFrame) -> DataFrame:
    """For each look and question: the share of simulated reproductions in which it is still open after the look."""
    return DataFrame([((since == NEVER) | (since > at)).mean(axis=0) for at in looks.index])


def truths(asking: PlanQuestions) -> dict[str, Truth]:
    """The true values to simulate: either the paper's numbers, or the same error for every method."""
    priors = asking.questions.priors
    means, stds = np.array([prior.mean for prior in priors]), np.array([prior.std for prior in priors])
    base: dict[str, float] = {}  # by data set: DropNAS's mean in the original space, or the first mean if it has none
    for one, mean in zip(asking.experiments, means, strict=True):
        if one.role not in base or one.searches[0].name.endswith("-original-dropnas-seed0"):
            base[one.role] = mean
    none = np.array([base[one.role] for one in asking.experiments])
    return {"true": Truth(means, stds), "none": Truth(none, stds)}


def looks_table(looks: DataFrame) -> Iterator[RenderableType]:
    """The table of looks with their costs and open questions."""
    shown = {
        "look": looks.index + 1,
        "seeds": looks.seeds,
        "hours so far": _both(looks, "hours", number),
        "at most": looks.most.map(number),
        "numbers open": _both(looks, "numbers", "{:.0%}".format),
        f"of {len(looks.filter(like=CLAIM).columns)} claims open": _both(looks, "claims", "{:.1f}".format),
    }
    yield table(DataFrame(shown))
    truths = "/".join(f"if {words}" for words in TRUTHS.values())
    yield f"Expected values {truths}. The runs of the best seed are not included. Open: not yet decided."


def _both(looks: DataFrame, what: str, form: Callable[[float], str]) -> "Series[str]":
    return looks[f"{what} true"].map(form) + "/" + looks[f"{what} none"].map(form)


def expected(looks: DataFrame) -> str:
    """The expected hours of all looks and of the runs that do not depend on the seeds."""
    return str(_both(looks.add(looks.fixed, axis="index"), "hours", number).iloc[-1])


def looks_that_fit(name: str, looks: DataFrame, budget: float) -> Iterator[str]:
    """The looks of a plan that fit into a budget, and the questions that they leave open."""
    if (most := looks.fixed.iloc[-1] + looks.most.iloc[-1]) <= budget:
        yield f"All of {name} fits: at most {number(most)} h, expected {expected(looks)}."
    fits = looks[looks[["hours true", "hours none"]].max(axis=1) <= budget]
    if fits.empty:
        yield f"Nothing of {name} fits: its first look, {looks.seeds[0]} seeds, takes {number(looks.most[0])} h."
        return
    last, seeds = fits.iloc[-1], ", ".join(map(str, fits.seeds))
    hours = f"expected {_both(fits, 'hours', number).iloc[-1]} h, at most {number(last.most)} h"
    yield f"Looks of {name} that fit: {seeds} seeds, {hours}."
    yield f"Still open if {TRUTHS['true']}: {last['numbers true']:.0%} of the printed numbers, and these claims:"
    for claim, chance in last.filter(like=CLAIM).items():
        if chance >= LIKELY_OPEN:
            yield f"  {str(claim).removeprefix(CLAIM)} (open in {chance:.0%} of simulated reproductions)"
