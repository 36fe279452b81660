"""Decides at an interim look which questions are answered, which stay open, and which are given up.

The same code judges the real reproduction and ten thousand simulated ones. Arrays therefore have an axis for the
reproductions, of length 1 for the real one. Comparisons with printed means are decided by Welch's test and an
equivalence test, with Holm's correction over a table. A claim holds only if all its contrasts are significant, without
correction (intersection-union test). It is contradicted if the opposite of one contrast is significant with
Bonferroni's correction. All p-values are valid over all looks (`group_sequential`); the time of a look is its number of
seeds, divided by the largest number. The paper's runs are the same at every look, so the statistics of the looks are
more strongly correlated than the boundaries assume. This makes the tests conservative.

An undecided question is given up if its conditional power is below one in five: then even the largest number of seeds
is unlikely to decide it. All other undecided questions stay open. The conditional power assumes that the current trend
continues, and uses a standard deviation pooled from our runs and the prior. This rule changes no error rate, because
the boundaries do not depend on it. A question that was given up can therefore be judged again if another question
requires more seeds of the same experiments.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from dropnas.analysis.comparison import cautious
from dropnas.analysis.group_sequential import Array, boundary, chance, over_looks
from dropnas.analysis.questions import Questions
from dropnas.analysis.verdict import LEVEL, holm

FUTILITY_POWER = 0.2  # conditional power below which a question gets no further seeds
Flags = NDArray[np.bool_]
NEVER = -1
# signs of the four tests of a number, in the order of `_tails`: 1 for "above", -1 for "below"
BOUNDARY_SIGNS = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None]


@dataclass(frozen=True)
class QuestionArrays:
    """Questions as arrays."""

    questions: Questions
    schedule: tuple[int, ...]  # number of seeds at each look; the last one is the largest
    # printed, printed_std: printed mean and standard deviation of each number, shape [reproductions or 1, numbers]
    printed: Array
    printed_std: Array

    @classmethod
    def of(cls, questions: Questions, schedule: tuple[int, ...]) -> "QuestionArrays":
        """The questions, with the paper's printed numbers."""
        asked = cls(questions, schedule, np.empty(0), np.empty(0))
        return replace(asked, printed=asked._of_numbers("printed")[None], printed_std=asked._of_numbers("std")[None])

    def _of_numbers(self, name: str) -> Array:
        return np.array([getattr(one, name) for one in self.questions.numbers], dtype=float)

    @property
    def fractions(self) -> tuple[float, ...]:
        """The time of each look."""
        return tuple(n / self.schedule[-1] for n in self.schedule)

    @cached_property
    def own(self) -> NDArray[np.intp]:
        """The index of each number's experiment."""
        return self._of_numbers("experiment").astype(np.intp)

    @cached_property
    def margins(self) -> Array:
        """The margin of each number."""
        return self._of_numbers("margin")

    @cached_property
    def of_paper(self) -> Array:
        """The number of the paper's runs over which each printed mean is taken."""
        return self._of_numbers("of")

    @cached_property
    def families(self) -> list[NDArray[np.intp]]:
        """For each table, the indices of its numbers."""
        names = [one.family for one in self.questions.numbers]
        return [np.flatnonzero([name == family for name in names]) for family in dict.fromkeys(names)]

    @cached_property
    def weights(self) -> Array:
        """The weight of each experiment in each contrast, shape [contrasts, experiments].

        The weights of `lower` experiments are positive.
        """
        contrasts = [contrast for claim in self.questions.claims for contrast in claim.contrasts]
        found = np.zeros((len(contrasts), len(self.questions.experiments)))
        for row, contrast in zip(found, contrasts, strict=True):
            row[list(contrast.lower)] += 1 / len(contrast.lower)
            row[list(contrast.higher)] -= 1 / len(contrast.higher)
        return found

    @cached_property
    def pairs(self) -> Flags:
        """Whether a contrast compares exactly two experiments."""
        return np.asarray((self.weights != 0).sum(axis=1) == 2)

    @property
    def sizes(self) -> list[int]:
        """The number of contrasts of each claim."""
        return [len(claim.contrasts) for claim in self.questions.claims]

    @cached_property
    def of_claims(self) -> list[NDArray[np.intp]]:
        """For each claim, the indices of its contrasts."""
        ends = np.cumsum([0, *self.sizes])
        return [np.arange(first, last) for first, last in pairwise(ends)]


@dataclass(frozen=True)
class LookState:
    """The state after a look. In all arrays, the second-to-last axis indexes the reproductions."""

    look: int  # index of the last look; 0 is the first
    present: Flags  # whether each experiment was run with all seeds of this look
    seeds: NDArray[np.int64]  # number of seeds of each experiment; an experiment that missed a look gets no later seeds
    # one-sided p-values of each number over all looks, shape [4, reproductions, numbers]: for a difference above 0,
    # below 0, above -margin, and below the margin
    sides: Array
    # lower, higher: one-sided p-values of each contrast over all looks, for a value below 0 and for a value above 0
    lower: Array
    higher: Array
    # differs, agrees: for each number, the p-values of a difference and of equivalence, Holm-corrected within its table
    differs: Array
    agrees: Array
    number_since: NDArray[np.int64]  # index of the look that decided each number; -1 means undecided
    # holds, contradicted: whether each claim holds or is contradicted
    holds: Flags
    contradicted: Flags
    claim_since: NDArray[np.int64]  # index of the look that decided each claim; -1 means undecided
    # number_open, claim_open: whether each number and each claim remains open for the next look
    number_open: Flags
    claim_open: Flags
    next: Flags  # whether each experiment needs the seeds of the next look


def before(asked: QuestionArrays, count: int) -> LookState:
    """The state before the first look: nothing is decided, and every experiment needs the seeds of the first look."""
    experiments, numbers = len(asked.questions.experiments), len(asked.questions.numbers)
    contrasts, claims = len(asked.weights), len(asked.questions.claims)
    no, ones = np.zeros((count, claims), dtype=bool), np.ones((count, numbers))
    return LookState(
        NEVER,
        np.zeros((count, experiments), dtype=bool),
        np.zeros((count, experiments), dtype=np.int64),
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


def judge_look(asked: QuestionArrays, past: LookState, means: Array, stds: Array) -> LookState:
    """Judge the next look.

    Args:
        means, stds: mean and standard deviation of each experiment over the seeds of this look, shape [reproductions,
            experiments]. Values of experiments without these seeds are ignored.
    """
    seeds = np.where(past.next, asked.schedule[past.look + 1], past.seeds)
    now = replace(past, look=past.look + 1, present=past.next, seeds=seeds)
    if asked.schedule[now.look] == 1:  # no test is possible with one run
        return replace(now, next=_needed(asked, now))
    now = _judge_claims(asked, _judge_numbers(asked, now, means, stds), means, stds)
    if now.look + 1 == len(asked.schedule):
        nothing = np.zeros_like
        return replace(
            now, number_open=nothing(now.number_open), claim_open=nothing(now.claim_open), next=nothing(now.present)
        )
    pooled = _pooled(asked, stds, asked.schedule[now.look])
    number_chance, claim_chance = _number_chance(asked, now, means, pooled), _claim_chance(asked, now, means, pooled)
    number_open = (now.number_since == NEVER) & (number_chance >= FUTILITY_POWER) & now.present[:, asked.own]
    claim_open = (now.claim_since == NEVER) & (claim_chance >= FUTILITY_POWER) & _claims_present(asked, now)
    now = replace(now, number_open=number_open, claim_open=claim_open)
    return replace(now, next=_needed(asked, now))


def _needed(asked: QuestionArrays, now: LookState) -> Flags:
    """Select the experiments that open questions need.

    A claim needs only the experiments of its contrasts that are not yet significant.
    """
    needed = np.zeros_like(now.present)
    for index, experiment in enumerate(asked.own):
        needed[:, experiment] |= now.number_open[:, index]
    for index, rows in enumerate(asked.of_claims):
        unshown = (now.lower[:, rows] > LEVEL) & now.claim_open[:, [index]]
        needed |= (unshown[:, :, None] & (asked.weights[rows] != 0)[None]).any(axis=1)
    return needed


def _judge_numbers(asked: QuestionArrays, now: LookState, means: Array, stds: Array) -> LookState:
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


def _tails(asked: QuestionArrays, mean: Array, std: Array, n: int) -> Array:
    """One-sided p-values of Welch's test for a difference above 0, below 0, above -margin, and below the margin."""
    ours, theirs = std**2 / n, asked.printed_std**2 / asked.of_paper
    error = np.sqrt(ours + theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (ours + theirs) ** 2 / (ours**2 / (n - 1) + theirs**2 / np.maximum(asked.of_paper - 1, 1))
        freedom = cautious(freedom, np.minimum(n, asked.of_paper))
        value = mean - asked.printed
        bounds = np.stack([np.zeros_like(asked.margins)] * 2 + [-asked.margins, asked.margins])[:, None]
        p = stdtr(freedom, BOUNDARY_SIGNS * (bounds - value) / error)
    return np.where(error > 0, p, 1.0)


def contrast_freedom(asked: QuestionArrays, stds: Array, n: int) -> Array:
    """Compute the degrees of freedom of each contrast.

    Args:
        stds: standard deviation of each experiment over its n seeds, shape [reproductions, experiments].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = (n - 1) * (stds**2 @ (asked.weights**2).T) ** 2 / (stds**4 @ (asked.weights**4).T)
    return np.where(asked.pairs, cautious(welch, n), welch)


def _judge_claims(asked: QuestionArrays, now: LookState, means: Array, stds: Array) -> LookState:
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


def _claims_present(asked: QuestionArrays, now: LookState) -> Flags:
    """Whether each claim has all the data that it needs at this look.

    A contrast that is already significant needs no more data. Any other contrast needs all seeds of this look.
    """
    lacking = _lacking(asked, now) & (now.lower > LEVEL)
    found = np.ones_like(now.claim_open)
    for index, rows in enumerate(asked.of_claims):
        found[:, index] = ~lacking[:, rows].any(axis=1)
    return found


def _lacking(asked: QuestionArrays, now: LookState) -> Flags:
    """For each contrast, whether any of its experiments lacks seeds of this look."""
    return np.asarray((~now.present).astype(float) @ (asked.weights != 0).T > 0)


def _pooled(asked: QuestionArrays, stds: Array, n: int) -> Array:
    """Compute the standard deviations that are expected at later looks.

    Our variances and the prior variances are pooled, weighted by their degrees of freedom.
    """
    prior, freedom = (np.array([getattr(one, name) for one in asked.questions.priors]) for name in ("std", "freedom"))
    return np.asarray(np.sqrt(((n - 1) * stds**2 + freedom * prior**2) / (n - 1 + freedom)))


def _open_in_family(asked: QuestionArrays, shown: Flags) -> Array:
    """For each number, Holm's divisor of the level: how many tests of its table are not yet significant."""
    found = np.ones(shown.shape)
    for family in asked.families:
        found[:, family] = np.maximum(1, (~shown[:, family]).sum(axis=1))[:, None]
    return found


def _number_chance(asked: QuestionArrays, now: LookState, means: Array, pooled: Array) -> Array:
    """Conditional power of each number: the chance that the largest number of seeds decides it."""
    n, most = asked.schedule[now.look], asked.schedule[-1]
    mean, std = means[:, asked.own], pooled[:, asked.own]
    agree_level = LEVEL / _open_in_family(asked, now.agrees <= LEVEL)
    differ_level = LEVEL / 2 / _open_in_family(asked, now.differs <= LEVEL)
    agree, differ = (_last_nominal(level, asked) for level in (agree_level, differ_level))
    theirs = np.broadcast_to(asked.printed_std**2 / asked.of_paper, std.shape)
    present_error, last_error = (np.sqrt(std**2 / count + theirs) for count in (n, most))
    freedom = last_error**4 / (std**4 / most**2 / (most - 1) + theirs**2 / np.maximum(asked.of_paper - 1, 1))
    freedom = cautious(freedom, np.minimum(most, asked.of_paper))
    value = mean - asked.printed
    half_agree, half_differ = (-stdtrit(freedom, p) * last_error for p in (agree, differ))
    found = chance(value, present_error, last_error, half_agree - asked.margins, asked.margins - half_agree)
    found = found + 1 - chance(value, present_error, last_error, -half_differ, half_differ)
    return np.asarray(found)


def _last_nominal(levels: Array, asked: QuestionArrays) -> Array:
    """Convert overall levels of designs to the nominal levels of the test at the last look."""
    return np.asarray(ndtr(-boundary(levels, len(asked.schedule) - 1, asked.fractions)))


def _claim_chance(asked: QuestionArrays, now: LookState, means: Array, pooled: Array) -> Array:
    """Conditional power of each claim: its chance of holding or of being contradicted, whichever is larger.

    The chance of holding is that of the contrast that is least likely to become significant. The chance of being
    contradicted is that of the contrast that is most likely to become significant in the opposite direction.
    """
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
    adjusted = np.ones_like(p_values)
    for family in families:
        adjusted[:, family] = holm(p_values[:, family])
    return adjusted
