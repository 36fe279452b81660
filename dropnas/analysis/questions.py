"""The questions that a sequential plan decides: printed means to compare with, and claims about experiments.

The paper's best of eight runs is not included, because our number of seeds depends on earlier results, and because the
printed best has no standard deviation.

An experiment is one search method in one setting, with one run for each seed. Questions refer to an experiment by its
index. `dropnas.pipeline.plan_questions` makes questions from a plan and the paper's tables.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PrintedMean:
    """A printed mean with which an experiment is compared."""

    family: str  # the table; Holm's correction is applied within it
    # row, column: cell of the table
    row: str
    column: str
    experiment: int  # index of the experiment whose runs are compared
    printed: float  # the printed mean
    std: float  # standard deviation (n - 1) of the paper's runs
    of: int  # number of the paper's runs over which the mean is taken
    margin: float  # the largest difference that counts as agreement


@dataclass(frozen=True)
class Contrast:
    """One comparison of a claim: the mean of the `lower` experiments should be below that of the `higher` ones."""

    label: str
    lower: tuple[int, ...]
    higher: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """A claim, which holds only if each of its contrasts is significant."""

    id: str  # a short name
    claim: str  # the claim as a sentence
    contrasts: tuple[Contrast, ...]  # at least one


@dataclass(frozen=True)
class Prior:
    """The errors that are expected of an experiment before it is run."""

    mean: float  # expected error
    std: float  # expected standard deviation over seeds (n - 1)
    freedom: int  # degrees of freedom of the standard deviation; 0 if there is no prior information on it


@dataclass(frozen=True)
class Questions:
    """All questions of a plan."""

    experiments: tuple[str, ...]
    priors: tuple[Prior, ...]  # one for each experiment
    numbers: tuple[PrintedMean, ...]
    claims: tuple[Claim, ...]
