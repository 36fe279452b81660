"""The comparisons behind a claim: how large the effect is, and how large it must be to be found with so many runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from dropnas.analysis.comparison import Estimate, Sample, difference
from dropnas.analysis.verdict import LEVEL

POWER = 0.8  # share of repetitions in which the smallest detectable difference would be found


@dataclass(frozen=True)
class Effect:
    """One comparison of a claim, in points of test error.

    Attributes:
        label: what is compared.
        lower, higher: what the claim says is the lower, and the higher.
        value: the lower minus the higher; below zero it points the paper's way.
        interval: its 95 % confidence interval; None where no spread was seen.
        detectable: the smallest true difference that the one-sided test at 5 % finds in four of five repetitions.
    """

    label: str
    lower: str
    higher: str
    value: float
    interval: tuple[float, float] | None
    detectable: float | None

    @property
    def as_claimed(self) -> bool:
        """Whether it points the paper's way, shown or not."""
        return self.value < 0


def effect(label: str, lower: Sample, higher: Sample) -> Effect:
    """Two means compared."""
    return contrast_effect(label, sample_text(lower), sample_text(higher), difference(lower, higher))


def contrast_effect(label: str, lower: str, higher: str, estimate: Estimate) -> Effect:
    """A contrast of several means."""
    return Effect(label, lower, higher, estimate.value, estimate.interval(), detectable(estimate))


def detectable(estimate: Estimate) -> float | None:
    """The smallest difference that could have been found; None where no spread was seen."""
    if not estimate.error:
        return None
    return estimate.error * sum(float(stdtrit(estimate.freedom, share)) for share in (1 - LEVEL, POWER))


def sample_text(one: Sample) -> str:
    """A mean with its deviation (n - 1) and the number of runs."""
    return f"{one.mean:.2f}±{one.std:.2f} (n={one.n})"


def as_claimed(effects: Sequence[Effect]) -> int:
    """How many comparisons point the paper's way."""
    return sum(one.as_claimed for one in effects)
