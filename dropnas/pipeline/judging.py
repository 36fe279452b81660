"""Judges the finished runs of a sequential plan, look by look, using only the store and the parameter file.

Each look uses only the first seeds of each experiment, up to the look's number of seeds. Judging a look again therefore
gives the same result, whatever else is in the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dropnas.analysis.comparison import Estimate, Sample, contrast, difference, sample
from dropnas.analysis.group_sequential import Array, median_unbiased, repeated_interval
from dropnas.analysis.judge_looks import NEVER, LookState, QuestionArrays, before, judge_look
from dropnas.analysis.questions import Claim, Contrast, PrintedMean
from dropnas.analysis.verdict import LEVEL
from dropnas.artifacts.looks_file import LookedClaim, LookedContrast, LookedNumber
from dropnas.artifacts.training_files import TrainingResultFile
from dropnas.pipeline.plan_questions import PlanQuestions
from dropnas.runs.identity import Run
from dropnas.runs.store import Store


@dataclass(frozen=True)
class Judging:
    """The state after the looks so far."""

    asked: QuestionArrays  # the questions, with the schedule
    state: LookState  # the state after the last look
    # errors of each experiment's seeds, in the order of `questions.experiments`
    errors: tuple[tuple[float, ...], ...]

    @property
    def looks(self) -> int:
        """The number of judged looks."""
        return self.state.look + 1

    def seeds(self) -> dict[str, int]:
        """The number of seeds that each experiment needs. If one continues, this is its number at the next look."""
        schedule = self.asked.schedule
        counts = np.maximum(self.state.seeds[0], schedule[0])
        if self.looks < len(schedule):
            counts = np.where(self.state.next[0], schedule[self.looks], counts)
        return dict(zip(self.asked.questions.experiments, counts.tolist(), strict=True))


def begin(asking: PlanQuestions, schedule: tuple[int, ...]) -> Judging:
    """The state before any look."""
    asked = QuestionArrays.of(asking.questions, schedule)
    return Judging(asked, before(asked, 1), ())


def read_errors(trainings: Sequence[Run], root: Path) -> tuple[float, ...]:
    """Test errors of finished trainings in percent, at their best epochs, as in the paper."""
    return tuple(TrainingResultFile.read(root / run.folder).top1_error.best for run in trainings)


def deviations(asking: PlanQuestions, root: Path) -> tuple[Array, int]:
    """The standard deviation of each experiment over its seeds, and the number of experiments with two or more results.

    The expected standard deviation and the one measured on the finished trainings are pooled, weighted by their degrees
    of freedom. The standard deviation is 0 if both are unknown.
    """
    store, found, ours = Store(root), [], 0
    for prior, experiment in zip(asking.questions.priors, asking.experiments, strict=True):
        done = [run for run in experiment.trainings if store.is_published(root / run.folder)]
        one = sample(read_errors(done, root))
        ours += one is not None
        squares, freedom = prior.freedom * prior.std**2, prior.freedom
        if one:
            squares, freedom = squares + (one.n - 1) * one.std**2, freedom + one.n - 1
        found.append((squares / freedom) ** 0.5 if freedom else 0.0)
    return np.array(found), ours


def look(judging: Judging, errors: Sequence[tuple[float, ...]]) -> Judging:
    """Judge the next look.

    Args:
        errors: the errors of each experiment. An experiment that continues must have at least as many errors as this
            look has seeds.
    """
    n = judging.asked.schedule[judging.looks]
    means, stds = np.zeros((1, len(errors))), np.zeros((1, len(errors)))
    for index, values in enumerate(errors):
        one = sample(values[:n]) if len(values) >= n else None
        if one:
            means[0, index], stds[0, index] = one.mean, one.std
    return Judging(judging.asked, judge_look(judging.asked, judging.state, means, stds), tuple(errors))


def findings(judging: Judging) -> tuple[tuple[LookedNumber, ...], tuple[LookedClaim, ...]]:
    """The findings of the looks for each printed mean and each claim."""
    questions = judging.asked.questions
    numbers = tuple(_number(judging, index, one) for index, one in enumerate(questions.numbers))
    return numbers, tuple(_claim(judging, index, one) for index, one in enumerate(questions.claims))


def _number(judging: Judging, index: int, one: PrintedMean) -> LookedNumber:
    state, since = judging.state, int(judging.state.number_since[0, index])
    look_at = _last_with(judging, (one.experiment,)) if since == NEVER else since
    decided = "agrees" if state.agrees[0, index] <= LEVEL else "differs"
    verdict = "undecided" if since == NEVER else decided
    ours, paper = _sample(judging, one.experiment, look_at), Sample(one.of, one.printed, one.std)
    estimate = difference(ours, paper) if ours else None
    return LookedNumber(
        one.family,
        one.row,
        one.column,
        verdict,
        *_when(judging, look_at, since, bool(state.number_open[0, index])),
        *_estimates(judging, estimate, look_at),
        float(state.differs[0, index]),
        float(state.agrees[0, index]),
    )


def _claim(judging: Judging, index: int, one: Claim) -> LookedClaim:
    state, since = judging.state, int(judging.state.claim_since[0, index])
    rows = judging.asked.of_claims[index]
    looks = [_last_with(judging, (*part.lower, *part.higher)) for part in one.contrasts]
    look_at = min(looks) if since == NEVER else since
    outcome = "holds" if state.holds[0, index] else "contradicted" if state.contradicted[0, index] else "undecided"
    parts = tuple(
        _contrast(judging, part, min(last, look_at) if since != NEVER else last, float(state.lower[0, row]))
        for part, last, row in zip(one.contrasts, looks, rows, strict=True)
    )
    when = _when(judging, look_at, since, bool(state.claim_open[0, index]))
    return LookedClaim(one.id, one.claim, outcome, *when, parts)


def _contrast(judging: Judging, part: Contrast, last: int, p: float) -> LookedContrast:
    low, high = ([_sample(judging, index, last) for index in side] for side in (part.lower, part.higher))
    known = [one for one in (*low, *high) if one]
    estimate = None
    if len(known) == len(low) + len(high):
        weights = [*(1 / len(low) for _ in low), *(-1 / len(high) for _ in high)]
        estimate = difference(known[0], known[1]) if len(known) == 2 else contrast(known, weights)
    seeds = judging.asked.schedule[last] if last != NEVER else 0
    return LookedContrast(part.label, seeds, *_estimates(judging, estimate, last), p)


def _when(judging: Judging, look_at: int, since: int, goes_on: bool) -> tuple[int, int, str]:
    schedule = judging.asked.schedule
    if look_at == NEVER:
        return 0, 0, "not looked at yet"
    seeds = schedule[look_at]
    if since != NEVER:
        return look_at + 1, seeds, f"decided at look {look_at + 1} ({seeds} seeds)"
    if goes_on:
        return look_at + 1, seeds, f"goes on after look {look_at + 1} ({seeds} seeds)"
    if look_at + 1 == len(schedule):
        return look_at + 1, seeds, f"not decided by all {seeds} seeds"
    hopeless = f"{schedule[-1]} seeds would hardly decide it"
    return look_at + 1, seeds, f"stopped at look {look_at + 1} ({seeds} seeds), since even {hopeless}"


def _estimates(
    judging: Judging, estimate: Estimate | None, look_at: int
) -> tuple[float | None, float | None, tuple[float, float] | None]:
    """The plain difference, the median-unbiased difference, and the interval that is valid over all looks."""
    if estimate is None or look_at == NEVER:
        return None, None, None
    fractions = judging.asked.fractions
    interval = repeated_interval(estimate.value, estimate.error, estimate.freedom, look_at, fractions)
    unbiased = median_unbiased(estimate.value, estimate.error, estimate.p_above(0.0), look_at, fractions)
    return estimate.value, unbiased, interval


def _last_with(judging: Judging, experiments: Sequence[int]) -> int:
    """The last look that includes all of these experiments; NEVER if there is none."""
    seeds = int(judging.state.seeds[0, list(experiments)].min())
    return judging.asked.schedule.index(seeds) if seeds else NEVER


def _sample(judging: Judging, experiment: int, look_at: int) -> Sample | None:
    if look_at == NEVER:
        return None
    return sample(judging.errors[experiment][: judging.asked.schedule[look_at]])
