"""Simulated reproductions, drawn with known true values and judged look by look.

Design choices: the code that judges them is the code that judges real runs. Random numbers are drawn in blocks of a
fixed size, so a smaller number of reproductions is a subset of a larger one.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import Asked, Judged, before, judge_look
from dropnas.analysis.questions import Questions

BLOCK = 1000
DECIMALS = 2  # decimals of the paper's numbers


@dataclass(frozen=True)
class Truth:
    """The true means and deviations of the errors of each experiment, ours and the paper's."""

    # means, stds: true means and deviations of our errors
    means: Array
    stds: Array
    # true means of the paper's errors, from which its eight runs are drawn; None uses the printed numbers
    paper: Array | None = None
    paper_stds: Array | None = None  # the true deviations of the paper's errors, if `paper` is given


def simulate(questions: Questions, schedule: tuple[int, ...], truth: Truth, count: int, seed: int = 0) -> Judged:
    """Draw reproductions and judge all their looks."""
    blocks = [
        _block(questions, schedule, truth, np.random.default_rng([seed, first // BLOCK]), min(BLOCK, count - first))
        for first in range(0, count, BLOCK)
    ]
    arrays = {field.name: [getattr(one, field.name) for one in blocks] for field in fields(Judged)}
    look, *_ = arrays.pop("look")
    return Judged(look, **{name: np.concatenate(parts, axis=parts[0].ndim - 2) for name, parts in arrays.items()})


def _block(
    questions: Questions, schedule: tuple[int, ...], truth: Truth, random: np.random.Generator, count: int
) -> Judged:
    size = (BLOCK, len(questions.experiments), schedule[-1])
    errors = (truth.means[:, None] + truth.stds[:, None] * random.normal(size=size))[:count]
    asked = _printed(Asked.of(questions, schedule), truth, random, count)
    judged = before(asked, count)
    for n in schedule:
        some = errors[:, :, :n]
        stds = some.std(axis=2, ddof=1) if n > 1 else np.zeros(some.shape[:2])
        judged = judge_look(asked, judged, some.mean(axis=2), stds)
    return judged


def _printed(asked: Asked, truth: Truth, random: np.random.Generator, count: int) -> Asked:
    """The paper's numbers, drawn again if their true values are given."""
    if truth.paper is None or truth.paper_stds is None or not asked.questions.numbers:
        return asked
    of = asked.questions.numbers[0].of
    errors = truth.paper[:, None] + truth.paper_stds[:, None] * random.normal(size=(BLOCK, len(truth.paper), of))
    errors = errors[:count]

    def shown(values: Array) -> Array:
        return np.asarray(np.round(values, DECIMALS)[:, asked.own])

    std = shown(errors.std(axis=2)) * np.sqrt(of / (of - 1))
    return replace(asked, printed=shown(errors.mean(axis=2)), printed_std=std)
