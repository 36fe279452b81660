"""Draws the cases of a kind with hypothesis, from a seed, and counts their outcomes."""

import hypothesis
from hypothesis import HealthCheck, Phase, strategies

from tests.hostile.bench import Bench
from tests.hostile.cases import KINDS, Count


def attempt(bench: Bench, kind: str, cases: int, seed: int) -> Count:
    """Try `cases` cases of a kind; the same seed gives the same cases."""
    count = Count()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategies.data())
    def one(data: strategies.DataObject) -> None:
        try:
            count.add(*KINDS[kind](bench, data.draw))
        finally:
            bench.restore()

    one()
    return count
