"""Draws the cases of a kind by hypothesis, from a seed, and counts what became of them."""

import hypothesis
from hypothesis import HealthCheck, Phase, strategies

from tests.hostile.bench import Bench
from tests.hostile.cases import KINDS, Tally


def attempt(bench: Bench, kind: str, cases: int, seed: int) -> Tally:
    """Try so many cases of a kind; the same seed gives the same cases."""
    tally = Tally()

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
            tally.add(*KINDS[kind](bench, data.draw))
        finally:
            bench.restore()

    one()
    return tally
