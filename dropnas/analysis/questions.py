"""The questions of a reproduction, as plain numbers: printed means to compare with, and claims about experiments.

The paper's best of eight runs is not such a question: the number of our seeds depends on earlier results, and the
printed best has no deviation.

An experiment is one search method in one setting, with one run for each seed. Questions refer to experiments by their
index in a list. `dropnas.pipeline.asked` makes questions from a plan and the paper's tables.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A printed mean to which an experiment is compared.

    Attributes:
        family: the table; Holm's correction is applied within it.
        row, column: cell of the table.
        experiment: index of the experiment whose runs are compared.
        printed: the printed mean.
        std: its deviation (n - 1).
        of: number of the paper's runs behind it.
        margin: the largest difference that counts as none.
    """

    family: str
    row: str
    column: str
    experiment: int
    printed: float
    std: float
    of: int
    margin: float


@dataclass(frozen=True)
class Contrast:
    """One comparison of a claim: the mean of the `lower` experiments should be below that of the `higher` ones."""

    label: str
    lower: tuple[int, ...]
    higher: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """A claim, which holds only if each of its contrasts is significant.

    Attributes:
        id: a short name.
        claim: the claim as a sentence.
        contrasts: one or more contrasts.
    """

    id: str
    claim: str
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Prior:
    """The expectation for an experiment before it is run.

    Attributes:
        mean: expected error.
        std: expected deviation of a single seed (n - 1).
        freedom: degrees of freedom of that deviation; 0 if there is no prior information on it.
    """

    mean: float
    std: float
    freedom: int


@dataclass(frozen=True)
class Questions:
    """All questions of a plan.

    Attributes:
        experiments: names of the experiments.
        priors: prior expectation for each experiment.
        numbers, claims: the questions.
    """

    experiments: tuple[str, ...]
    priors: tuple[Prior, ...]
    numbers: tuple[Number, ...]
    claims: tuple[Claim, ...]
