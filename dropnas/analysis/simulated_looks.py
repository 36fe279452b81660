"""Simulated reproductions, drawn with known true values and judged look by look.

Design choices: the code that judges them is the code that judges real runs. Random numbers are drawn in blocks of a
fixed size, so a smaller number of reproductions is a subset of a larger one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Simulated:
    """Finished reproductions: the verdicts, and the number of seeds of each experiment, [reproductions, ...]."""

    judged: Judged
    seeds: NDArray[np.int64]


def simulate(questions: Questions, schedule: tuple[int, ...], truth: Truth, count: int, seed: int = 0) -> Simulated:
    """Draw and judge reproductions."""
    blocks = list(_blocks(questions, schedule, truth, count, seed))
    names = Judged.__dataclass_fields__
    joined = {
        name: np.concatenate([getattr(one.judged, name) for one in blocks], axis=1 if name == "sides" else 0)
        for name in names
        if name != "look"
    }
    last = blocks[0].judged.look
    return Simulated(Judged(look=last, **joined), np.concatenate([one.seeds for one in blocks]))


def _blocks(
    questions: Questions, schedule: tuple[int, ...], truth: Truth, count: int, seed: int
) -> Iterator[Simulated]:
    for block in range(0, count, BLOCK):
        random = np.random.default_rng([seed, block // BLOCK])
        yield _block(questions, schedule, truth, random, min(BLOCK, count - block))


def _block(
    questions: Questions, schedule: tuple[int, ...], truth: Truth, random: np.random.Generator, count: int
) -> Simulated:
    size = (BLOCK, len(questions.experiments), schedule[-1])
    errors = (truth.means[:, None] + truth.stds[:, None] * random.normal(size=size))[:count]
    asked = _printed(Asked.of(questions, schedule), truth, random, count)
    judged = before(asked, count)
    seeds = np.zeros((count, size[1]), dtype=np.int64)
    for n in schedule:
        seeds[judged.next] = n
        some = errors[:, :, :n]
        stds = some.std(axis=2, ddof=1) if n > 1 else np.zeros(some.shape[:2])
        judged = judge_look(asked, judged, some.mean(axis=2), stds)
    return Simulated(judged, seeds)


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


def shifted(questions: Questions, margins: float) -> Array:
    """The priors' means, shifted by multiples of the margin, alternately up and down; others do not change."""
    means = np.array([prior.mean for prior in questions.priors])
    moved: dict[int, Any] = {}
    for number in questions.numbers:
        moved.setdefault(number.experiment, (-1) ** len(moved) * number.margin * margins)
    means[list(moved)] += list(moved.values())
    return means
