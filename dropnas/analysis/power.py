"""The smallest difference that a claim's test detects with a probability of 80 %."""

import numpy as np
from scipy.special import stdtrit

from dropnas.analysis.comparison import POWER
from dropnas.analysis.group_sequential import Array
from dropnas.analysis.judge_looks import QuestionArrays, contrast_freedom
from dropnas.analysis.questions import Questions
from dropnas.analysis.verdict import LEVEL


def smallest(questions: Questions, stds: Array, n: int) -> list[list[float]]:
    """For each claim and contrast, the smallest true difference that n seeds can detect, in points of error.

    Each of a claim's m contrasts is tested with a power of 0.8^(1/m), so that the claim holds with a probability of
    80 % if the contrasts are independent. If contrasts share an experiment, the claim holds more often.

    Args:
        stds: standard deviation over seeds, for each experiment.
        n: number of seeds of each experiment, at least two; there are no interim looks.
    """
    asked = QuestionArrays.of(questions, (n,))
    error = np.sqrt(stds**2 @ (asked.weights**2).T / n)
    freedom = contrast_freedom(asked, stds[None], n)[0]
    found = []
    for claim, rows in zip(questions.claims, asked.of_claims, strict=True):
        each = POWER ** (1 / len(claim.contrasts))
        quantiles = stdtrit(freedom[rows], 1 - LEVEL) + stdtrit(freedom[rows], each)
        found.append([float(one) for one in quantiles * error[rows]])
    return found
