"""The smallest difference that a claim's test finds in four cases of five."""

import numpy as np
from scipy.special import stdtrit

from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import Asked, contrast_freedom
from dropnas.analysis.questions import Questions
from dropnas.analysis.verdict import LEVEL

POWER = 0.8


def smallest(questions: Questions, stds: Array, n: int) -> list[list[float]]:
    """For each claim and each of its contrasts, the smallest true difference that n seeds find, in points of error.

    A claim of m contrasts holds in four cases of five if each of them is shown with the power 0.8^(1/m), as if they
    were independent; as they have an experiment in common, it holds more often.

    Args:
        questions: the claims.
        stds: deviation of one seed, of each experiment.
        n: seeds on each side, two or more, without looks in between.
    """
    asked = Asked.of(questions, (n,))
    error = np.sqrt(stds**2 @ (asked.weights**2).T / n)
    freedom = contrast_freedom(asked, stds[None], n)[0]
    found = []
    for claim, rows in zip(questions.claims, asked.of_claims, strict=True):
        each = POWER ** (1 / len(claim.contrasts))
        quantiles = stdtrit(freedom[rows], 1 - LEVEL) + stdtrit(freedom[rows], each)
        found.append([float(one) for one in quantiles * error[rows]])
    return found
