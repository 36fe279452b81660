"""A part of the hostile cases, the same in each run of the tests; `make hostile` tries more."""

import pytest

from tests.hostile.bench import Bench
from tests.hostile.cases import KINDS
from tests.hostile.trial import attempt

CASES = 25


@pytest.mark.parametrize("kind", KINDS)
def test_no_hostile_input_is_a_fault(bench: Bench, kind: str) -> None:
    tally = attempt(bench, kind, CASES, seed=0)
    assert tally.faults == []
    assert tally.counts["tried"] >= CASES // 2 and tally.counts["refused"] + tally.counts["unharmed"] > 0
