"""From means and deviations after a look to what is decided, what goes on, and what is given up.

One code judges the real reproduction and ten thousand simulated ones: every array has a first axis of reproductions,
which is 1 long for the real one. Printed means are decided by Welch's test, by equivalence, and by Holm's correction
over a table; claims by intersection and union (each contrast at the level itself, since a claim
that holds needs all of them), and a contradiction by Bonferroni's correction. All p-values hold over all looks
(`group_sequential`), with the share of the most seeds as time: the paper's runs are the same at every look, which only
makes looks more alike than the boundaries suppose.

What is undecided goes on unless even the most seeds would hardly decide it: if its conditional power, with the present
trend and a deviation that pools ours with the expected one, is below one in five. This changes no error rate, since no
boundary counts on it, so a question whose seeds come for another's sake is judged again.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from dropnas.analysis.comparison import FEW, OPTIMISM
from dropnas.analysis.group_sequential import Array, boundary, chance, over_looks
from dropnas.analysis.questions import Questions
from dropnas.analysis.verdict import LEVEL

HARDLY = 0.2  # conditional power below which seeds are not spent
Flags = NDArray[np.bool_]
NEVER = -1
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None]  # of what is asked of a number: above, below, above, below


@dataclass(frozen=True)
class Asked:
    """Questions as arrays.

    Attributes:
        questions: what is asked.
        schedule: seeds at each look; the last are the most.
        printed, printed_std: of each number; shape [reproductions or 1, numbers].
    """

    questions: Questions
    schedule: tuple[int, ...]
    printed: Array
    printed_std: Array

    @classmethod
    def of(cls, questions: Questions, schedule: tuple[int, ...]) -> "Asked":
        """With the numbers as they are printed."""
        printed, std = (np.array([[getattr(one, name) for one in questions.numbers]]) for name in ("printed", "std"))
        return cls(questions, schedule, printed.reshape(1, -1), std.reshape(1, -1))

    @property
    def fractions(self) -> tuple[float, ...]:
        """The time of each look."""
        return tuple(n / self.schedule[-1] for n in self.schedule)

    @cached_property
    def own(self) -> NDArray[np.intp]:
        """The experiment of each number."""
        return np.array([one.experiment for one in self.questions.numbers], dtype=np.intp)

    @cached_property
    def margins(self) -> Array:
        """Of the numbers."""
        return np.array([one.margin for one in self.questions.numbers])

    @cached_property
    def of_paper(self) -> Array:
        """Runs of the paper behind each number."""
        return np.array([float(one.of) for one in self.questions.numbers])

    @cached_property
    def families(self) -> list[NDArray[np.intp]]:
        """The numbers of each table."""
        names = [one.family for one in self.questions.numbers]
        return [np.flatnonzero([name == family for name in names]) for family in dict.fromkeys(names)]

    @cached_property
    def weights(self) -> Array:
        """Of the experiments in each contrast, the lower ones positive; shape [contrasts, experiments]."""
        contrasts = [contrast for claim in self.questions.claims for contrast in claim.contrasts]
        found = np.zeros((len(contrasts), len(self.questions.experiments)))
        for row, contrast in zip(found, contrasts, strict=True):
            row[list(contrast.lower)] += 1 / len(contrast.lower)
            row[list(contrast.higher)] -= 1 / len(contrast.higher)
        return found

    @cached_property
    def pairs(self) -> Flags:
        """Which contrasts compare two experiments."""
        return np.asarray((self.weights != 0).sum(axis=1) == 2)

    @property
    def sizes(self) -> list[int]:
        """The number of contrasts of each claim."""
        return [len(claim.contrasts) for claim in self.questions.claims]

    @cached_property
    def of_claims(self) -> list[NDArray[np.intp]]:
        """The contrasts of each claim."""
        ends = np.cumsum([0, *self.sizes])
        return [np.arange(first, last) for first, last in pairwise(ends)]


@dataclass(frozen=True)
class Judged:
    """What is known after some looks; all arrays have the reproductions as their first axis.

    Attributes:
        look: the last one, 0 for the first.
        present: experiments that have the seeds of this look.
        sides: one-sided p-values over all looks of each number: above 0, below 0, above -margin, below the margin.
        lower, higher: of each contrast, that it is below and above 0.
        differs, agrees: of each number, corrected over its table.
        number_since: the look that decided each number; -1 for none.
        holds, contradicted: of each claim.
        claim_since: the look that decided each claim.
        number_open, claim_open: what goes on.
        next: experiments that need the seeds of the next look.
    """

    look: int
    present: Flags
    sides: Array
    lower: Array
    higher: Array
    differs: Array
    agrees: Array
    number_since: NDArray[np.int64]
    holds: Flags
    contradicted: Flags
    claim_since: NDArray[np.int64]
    number_open: Flags
    claim_open: Flags
    next: Flags


def before(asked: Asked, count: int) -> Judged:
    """Nothing is known, and every experiment is to have the seeds of the first look."""
    experiments, numbers = len(asked.questions.experiments), len(asked.questions.numbers)
    contrasts, claims = len(asked.weights), len(asked.questions.claims)
    no, ones = np.zeros((count, claims), dtype=bool), np.ones((count, numbers))
    return Judged(
        NEVER,
        np.zeros((count, experiments), dtype=bool),
        np.ones((4, count, numbers)),
        np.ones((count, contrasts)),
        np.ones((count, contrasts)),
        ones,
        ones,
        np.full((count, numbers), NEVER),
        no,
        no,
        np.full((count, claims), NEVER),
        np.ones((count, numbers), dtype=bool),
        ~no,
        np.ones((count, experiments), dtype=bool),
    )


def judge_look(asked: Asked, past: Judged, means: Array, stds: Array) -> Judged:
    """Judge the next look.

    Args:
        asked: the questions.
        past: after the look before.
        means, stds: of each experiment over the seeds of this look; those without them may hold anything. Shape
            [reproductions, experiments].
    """
    now = replace(past, look=past.look + 1, present=past.next)
    if asked.schedule[now.look] == 1:  # nothing can be said of one run
        return replace(now, next=_needed(asked, now))
    now = _judge_claims(asked, _judge_numbers(asked, now, means, stds), means, stds)
    if now.look + 1 == len(asked.schedule):
        nothing = np.zeros_like
        return replace(
            now,
            number_open=nothing(now.number_open),
            claim_open=nothing(now.claim_open),
            next=nothing(now.present),
        )
    pooled = _pooled(asked, stds, asked.schedule[now.look])
    number_chance, claim_chance = _number_chance(asked, now, means, pooled), _claim_chance(asked, now, means, pooled)
    number_open = (now.number_since == NEVER) & (number_chance >= HARDLY) & now.present[:, asked.own]
    claim_open = (now.claim_since == NEVER) & (claim_chance >= HARDLY) & _claims_present(asked, now)
    now = replace(now, number_open=number_open, claim_open=claim_open)
    return replace(now, next=_needed(asked, now))


def _needed(asked: Asked, now: Judged) -> Flags:
    """The experiments of what goes on; of a claim only those of contrasts that are not shown yet."""
    needed = np.zeros_like(now.present)
    for index, experiment in enumerate(asked.own):
        needed[:, experiment] |= now.number_open[:, index]
    for index, rows in enumerate(asked.of_claims):
        unshown = (now.lower[:, rows] > LEVEL) & now.claim_open[:, [index]]
        needed |= (unshown[:, :, None] & (asked.weights[rows] != 0)[None]).any(axis=1)
    return needed


def _judge_numbers(asked: Asked, now: Judged, means: Array, stds: Array) -> Judged:
    n = asked.schedule[now.look]
    counts = now.present[:, asked.own] & (now.number_since == NEVER)
    mean, std = means[:, asked.own], stds[:, asked.own]
    tails = _tails(asked, mean, std, n)
    sides = np.where(counts, np.minimum(now.sides, over_looks(tails, now.look, asked.fractions)), now.sides)
    differs = _holm(np.minimum(1, 2 * sides[:2].min(axis=0)), asked.families)
    agrees = _holm(sides[2:].max(axis=0), asked.families)
    decided = (now.number_since == NEVER) & (np.minimum(differs, agrees) <= LEVEL)
    since = np.where(decided, now.look, now.number_since)
    return replace(now, sides=sides, differs=differs, agrees=agrees, number_since=since)


def _tails(asked: Asked, mean: Array, std: Array, n: int) -> Array:
    """One-sided p-values of Welch's test: above 0, below 0, above -margin, below the margin."""
    ours, theirs = std**2 / n, asked.printed_std**2 / asked.of_paper
    error = np.sqrt(ours + theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (ours + theirs) ** 2 / (ours**2 / (n - 1) + theirs**2 / np.maximum(asked.of_paper - 1, 1))
        freedom = _cautious(freedom, np.minimum(n, asked.of_paper))
        value = mean - asked.printed
        bounds = np.stack([np.zeros_like(asked.margins)] * 2 + [-asked.margins, asked.margins])[:, None]
        p = stdtr(freedom, SIGNS * (bounds - value) / error)
    return np.where(error > 0, p, 1.0)


def _cautious(freedom: Array, fewest: Any) -> Array:
    """Welch's degrees of freedom as `comparison.difference` takes them: never too optimistic in the tails."""
    return np.asarray(np.where(fewest < FEW, fewest - 1.0, np.maximum(fewest - 1.0, freedom - OPTIMISM)))


def contrast_freedom(asked: Asked, stds: Array, n: int) -> Array:
    """Degrees of freedom of each contrast, from deviations of shape [reproductions, experiments] over n seeds each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = (n - 1) * (stds**2 @ (asked.weights**2).T) ** 2 / (stds**4 @ (asked.weights**4).T)
    return np.where(asked.pairs, _cautious(welch, n), welch)


def _judge_claims(asked: Asked, now: Judged, means: Array, stds: Array) -> Judged:
    n = asked.schedule[now.look]
    known, weights = np.where(now.present, stds, 0.0), asked.weights
    value, error = np.where(now.present, means, 0.0) @ weights.T, np.sqrt(known**2 @ (weights**2).T / n)
    freedom = contrast_freedom(asked, known, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = value / error
    counts = ~_lacking(asked, now) & (error > 0) & np.repeat(now.claim_since == NEVER, asked.sizes, axis=1)
    with np.errstate(invalid="ignore"):
        tails = np.where(counts, np.stack([stdtr(freedom, t), stdtr(freedom, -t)]), 1.0)
    lower, higher = np.minimum((now.lower, now.higher), over_looks(tails, now.look, asked.fractions))
    holds, contradicted = now.holds.copy(), now.contradicted.copy()
    for index, rows in enumerate(asked.of_claims):
        free = now.claim_since[:, index] == NEVER
        holds[:, index] |= free & (lower[:, rows].max(axis=1) <= LEVEL)
        opposite = len(rows) * higher[:, rows].min(axis=1) <= LEVEL
        contradicted[:, index] |= free & opposite & ~holds[:, index]
    decided = (now.claim_since == NEVER) & (holds | contradicted)
    since = np.where(decided, now.look, now.claim_since)
    return replace(now, lower=lower, higher=higher, holds=holds, contradicted=contradicted, claim_since=since)


def _claims_present(asked: Asked, now: Judged) -> Flags:
    """Claims of which every contrast that is not shown has the seeds of this look."""
    lacking = _lacking(asked, now) & (now.lower > LEVEL)
    found = np.ones_like(now.claim_open)
    for index, rows in enumerate(asked.of_claims):
        found[:, index] = ~lacking[:, rows].any(axis=1)
    return found


def _lacking(asked: Asked, now: Judged) -> Flags:
    """Contrasts of which an experiment does not have the seeds of this look."""
    return np.asarray((~now.present).astype(float) @ (asked.weights != 0).T > 0)


def _pooled(asked: Asked, stds: Array, n: int) -> Array:
    """Deviations for a look ahead: ours and the expected ones, by their degrees of freedom."""
    prior, freedom = (np.array([getattr(one, name) for one in asked.questions.priors]) for name in ("std", "freedom"))
    return np.asarray(np.sqrt(((n - 1) * stds**2 + freedom * prior**2) / (n - 1 + freedom)))


def _open_in_family(asked: Asked, shown: Flags) -> Array:
    """By how much Holm's correction divides the level of what is not shown yet."""
    found = np.ones(shown.shape)
    for family in asked.families:
        found[:, family] = np.maximum(1, (~shown[:, family]).sum(axis=1))[:, None]
    return found


def _number_chance(asked: Asked, now: Judged, means: Array, pooled: Array) -> Array:
    """Conditional power of each number: that the most seeds show a difference, or equality."""
    n, most = asked.schedule[now.look], asked.schedule[-1]
    mean, std = means[:, asked.own], pooled[:, asked.own]
    agree_level = LEVEL / _open_in_family(asked, now.agrees <= LEVEL)
    differ_level = LEVEL / 2 / _open_in_family(asked, now.differs <= LEVEL)
    agree, differ = (_last_nominal(level, asked) for level in (agree_level, differ_level))
    theirs = np.broadcast_to(asked.printed_std**2 / asked.of_paper, std.shape)
    present_error, last_error = (np.sqrt(std**2 / count + theirs) for count in (n, most))
    freedom = last_error**4 / (std**4 / most**2 / (most - 1) + theirs**2 / np.maximum(asked.of_paper - 1, 1))
    freedom = _cautious(freedom, np.minimum(most, asked.of_paper))
    value = mean - asked.printed
    half_agree, half_differ = (-stdtrit(freedom, p) * last_error for p in (agree, differ))
    found = chance(value, present_error, last_error, half_agree - asked.margins, asked.margins - half_agree)
    found = found + 1 - chance(value, present_error, last_error, -half_differ, half_differ)
    return np.asarray(found)


def _last_nominal(levels: Array, asked: Asked) -> Array:
    """The nominal level at the last look of designs with these levels."""
    return np.asarray(ndtr(-boundary(levels, len(asked.schedule) - 1, asked.fractions)))


def _claim_chance(asked: Asked, now: Judged, means: Array, pooled: Array) -> Array:
    """Conditional power of each claim: the least of its contrasts that are not shown, or a contradiction by one."""
    n, most, weights = asked.schedule[now.look], asked.schedule[-1], asked.weights
    value, unit = means @ weights.T, np.sqrt(pooled**2 @ (weights**2).T)
    freedom = contrast_freedom(asked, pooled, most)
    present_error, last_error = unit / np.sqrt(n), unit / np.sqrt(most)
    found = np.zeros((len(means), len(asked.of_claims)))
    for index, rows in enumerate(asked.of_claims):
        args = (value[:, rows], present_error[:, rows], last_error[:, rows])
        holds, opposite = (
            -stdtrit(freedom[:, rows], _last_nominal(np.array(level), asked)) * last_error[:, rows]
            for level in (LEVEL, LEVEL / len(rows))
        )
        shown = now.lower[:, rows] <= LEVEL
        all_shown = np.where(shown, 1.0, chance(*args, -np.inf, -holds)).min(axis=1)
        one_opposite = chance(*args, opposite, np.inf).max(axis=1)
        found[:, index] = np.maximum(all_shown, one_opposite)
    return found


def _holm(p_values: Array, families: list[NDArray[np.intp]]) -> Array:
    """Holm's correction within each family, along the last axis; as `multiple.holm`."""
    adjusted = np.ones_like(p_values)
    for family in families:
        own = p_values[:, family]
        order = np.argsort(own, axis=1, kind="stable")
        factors = np.arange(len(family), 0, -1)
        stepped = np.minimum(1, np.maximum.accumulate(np.take_along_axis(own, order, 1) * factors, axis=1))
        block = np.empty_like(own)
        np.put_along_axis(block, order, stepped, 1)
        adjusted[:, family] = block
    return adjusted
