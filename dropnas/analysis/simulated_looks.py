"""Simulated reproductions, drawn with known true values and judged look by look.

Design choices: real runs are judged by the same code. Random numbers are drawn in blocks of a fixed size, so the first
reproductions do not depend on how many are simulated.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import LookState, QuestionArrays, before, judge_look
from dropnas.analysis.questions import Questions

BLOCK = 1000
Draw = Callable[[QuestionArrays, np.random.Generator, int], QuestionArrays]


@dataclass(frozen=True)
class Truth:
    """The true means and deviations of the errors of each experiment."""

    means: Array
    stds: Array


def as_printed(asked: QuestionArrays, random: np.random.Generator, count: int) -> QuestionArrays:
    """Keep the paper's printed numbers for all reproductions."""
    return asked


def simulate(
    questions: Questions, schedule: tuple[int, ...], truth: Truth, count: int, seed: int = 0, paper: Draw = as_printed
) -> LookState:
    """Draw reproductions and judge all their looks.

    Args:
        paper: function that draws the printed numbers of each reproduction; the default keeps those of the paper.
    """
    asked, blocks = QuestionArrays.of(questions, schedule), []
    for first in range(0, count, BLOCK):
        random = np.random.default_rng([seed, first // BLOCK])
        blocks.append(_block(asked, truth, random, min(BLOCK, count - first), paper))
    arrays = {field.name: [getattr(one, field.name) for one in blocks] for field in fields(LookState)}
    look, *_ = arrays.pop("look")
    return LookState(look, **{name: np.concatenate(parts, axis=parts[0].ndim - 2) for name, parts in arrays.items()})


def _block(asked: QuestionArrays, truth: Truth, random: np.random.Generator, count: int, paper: Draw) -> LookState:
    size = (BLOCK, len(truth.means), asked.schedule[-1])
    errors = (truth.means[:, None] + truth.stds[:, None] * random.normal(size=size))[:count]
    asked = paper(asked, random, count)
    judged = before(asked, count)
    for n in asked.schedule:
        some = errors[:, :, :n]
        stds = some.std(axis=2, ddof=1) if n > 1 else np.zeros(some.shape[:2])
        judged = judge_look(asked, judged, some.mean(axis=2), stds)
    return judged
