"""A part of the hostile cases, the same in every test run; `make hostile` tries more."""

import pytest

from tests.hostile.bench import Bench
from tests.hostile.cases import KINDS, SLOW
from tests.hostile.trial import attempt

CASES = 25


@pytest.mark.parametrize("kind", KINDS)
def test_no_hostile_input_is_a_fault(bench: Bench, kind: str) -> None:
    cases = CASES // SLOW.get(kind, 1)
    count = attempt(bench, kind, cases, seed=0)
    assert count.faults == []
    assert count.counts["tried"] >= cases // 2 and count.counts["refused"] + count.counts["unharmed"] > 0
