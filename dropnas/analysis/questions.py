"""What a reproduction asks, in plain numbers: printed means to be compared with, and claims about several experiments.

The printed best of eight is no such question: how many seeds we have depends on what was seen, and it has no deviation.

An experiment is one search method in one setting, with a run for each seed; questions name experiments by their place
in a list. How questions follow from a plan and the paper's tables, `dropnas.pipeline.asked` says.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A printed mean beside an experiment.

    Attributes:
        family: the table, within which Holm's correction is made.
        row, column: of the table.
        experiment: whose runs are compared.
        printed: the mean.
        std: the deviation behind it (n - 1).
        of: how many runs of the paper are behind it.
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
    """One comparison of a claim: the mean of some experiments should be lower than that of others."""

    label: str
    lower: tuple[int, ...]
    higher: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """A claim: it holds only if every one of its contrasts is shown.

    Attributes:
        id: a short name.
        claim: in a sentence.
        contrasts: at least one.
    """

    id: str
    claim: str
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Prior:
    """What is known of an experiment before it is run.

    Attributes:
        mean: expected error.
        std: expected deviation of one seed (n - 1).
        freedom: degrees of freedom that the deviation counts as; 0 where nothing is known of it.
    """

    mean: float
    std: float
    freedom: int


@dataclass(frozen=True)
class Questions:
    """All questions of a plan.

    Attributes:
        experiments: their names.
        priors: what is known of each beforehand.
        numbers, claims: what is asked.
    """

    experiments: tuple[str, ...]
    priors: tuple[Prior, ...]
    numbers: tuple[Number, ...]
    claims: tuple[Claim, ...]
