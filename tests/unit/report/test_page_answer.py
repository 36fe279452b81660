"""The first statements of the page, and its deviations from the paper: sentences, dates, options."""

import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame

from dropnas.analysis.claim_tests import ClaimOutcome
from dropnas.analysis.config import ClustersConfig
from dropnas.artifacts.verdicts_file import ClaimResult
from dropnas.data.config import ROLES
from dropnas.evaluate.config import RetrainConfig, SelectConfig, TransferConfig
from dropnas.report.page.answer import TEST_RUN, answer
from dropnas.report.page.deviations import deviations, drop_rates, entries
from dropnas.report.page.planned import Planned
from dropnas.report.page.progress import PageCost, progress
from dropnas.report.page.survey import PlannedState
from dropnas.search.config import DeriveConfig, DropoutOptions, SearchConfig


def claim(outcome: ClaimOutcome) -> ClaimResult:
    return ClaimResult("id", "It holds.", "Section 1", "A test.", outcome, "", (), True)


def sentence(*outcomes: ClaimOutcome) -> str:
    return answer([claim(one) for one in outcomes], [], True).sentence


def test_the_answer_counts_the_claims() -> None:
    holds, contradicted, undecided, few = ClaimOutcome
    found = sentence(*[holds] * 4, contradicted, *[undecided] * 4)
    assert found == "Of the paper's 9 claims, 4 hold, 1 is contradicted and 4 are undecided."
    assert sentence(undecided, undecided).startswith("Neither confirmed nor refuted: none of the paper's 2 claims")
    assert sentence(few, few) == "None of the paper's 2 claims can be judged yet: too few runs are done."
    assert sentence(holds, few) == (
        "Of the paper's 2 claims, 1 holds, none is contradicted, none is undecided and 1 has too few runs."
    )


@given(st.lists(st.sampled_from(list(ClaimOutcome)), min_size=1))
def test_every_claim_is_in_the_tally(outcomes: list[ClaimOutcome]) -> None:
    found = answer([claim(one) for one in outcomes], [], True)
    assert found.tally == {str(word): outcomes.count(word) for word in ClaimOutcome}
    assert found.sentence.endswith(".") and not re.search(r"\b1 (hold|are)\b|\b(0|[2-9]) (holds|is)\b", found.sentence)


def test_a_test_run_is_compared_with_nothing() -> None:
    found = answer([claim(ClaimOutcome.HOLDS)], [], False)
    assert (found.sentence, found.numbers) == (TEST_RUN, "")
    assert {one.paper for one in found.headlines} == {""}


class Hours(float):
    """Hours of which all are known."""

    @property
    def known(self) -> float:
        return float(self)


class Cost:
    """Twelve hours, of which nine remain."""

    hours, left = Hours(12.0), Hours(9.0)


def run(id_: str, stage: str = "retrain", **config: Any) -> Planned:
    return Planned(id_, stage, id_, f"runs/{stage}/{id_}", (), ("table1",), config)


def test_it_says_when_it_will_be_finished_at_the_pace_so_far() -> None:
    """Three of twelve hours took a day, so the other nine take three days."""
    runs = DataFrame(
        [
            (PlannedState.DONE, "2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z"),
            (PlannedState.DONE, "2026-01-01T06:00:00Z", "2026-01-02T00:00:00Z"),
            (PlannedState.MISSING, "", ""),
        ],
        columns=["state", "started", "ended"],
    )
    one = progress(runs, PageCost({}, Cost(), "", "GPU-hours"))
    assert (one.finished, one.done) == (False, "2 of 3 runs done.")
    assert one.cost == "Total: 12.0 GPU-hours, 9.0 still to do."
    assert one.until == "At the pace so far, it will finish around 2026-01-05."
    assert progress(runs[:2], PageCost({}, Cost(), "", "GPU-hours")).until == ""
    assert progress(runs, PageCost({}, None, "")).until == ""


CONFIGS: dict[str, Any] = {
    "search": SearchConfig(),
    "derive": DeriveConfig(),
    "clusters": ClustersConfig(),
    "retrain": RetrainConfig(),
    "select": SelectConfig(),
    "transfer": TransferConfig(),
}


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["option"])
def test_each_difference_names_an_option_with_its_default(entry: dict[str, Any]) -> None:
    stage, *keys = entry["option"].split(".")
    values = asdict(DropoutOptions()) if keys[0] == "options" else asdict(CONFIGS[stage])
    assert values[keys[-1]] == entry["default"]
    assert all(text.endswith(".") for text in (entry["paper"], *entry["here"].values()))


def test_differences_follow_the_options_in_use() -> None:
    plan = [
        run("a", "search", strategy="dropnas", options={"drop_probability": "released"}, space="original"),
        run("b", "search", strategy="one-level-darts", options={"masks": "per-cell"}, space="original"),
        run("c", "select", criterion="held-out"),
    ]
    here = dict(deviations(plan)[["What", "Here"]].itertuples(index=False))
    assert here["Drop probability"].startswith("r^(1/4) for every group")
    assert here["Masks"].startswith("One mask for each edge")  # the other method has its own options
    assert here["Which seed is the best"] == "The lowest error on held-out training images."
    assert all(f"±{known.margin:g} points" in here["What counts as equal"] for known in ROLES.values())
    assert "Batch norm after pooling" not in here


def test_drop_rates_are_shown_with_what_is_left_of_them() -> None:
    plan = [
        run("a", "search", strategy="drop-rate-0.875", options={}, space="original"),
        run("b", "search", strategy="dropnas", options={}, space="1-skip"),
    ]
    rates = drop_rates(plan)
    assert list(rates["Nominal p_d"]) == sorted(rates["Nominal p_d"])
    kept = 4 * 0.125 / (1 - 0.875**4)
    assert tuple(rates.iloc[-1]) == ("0.875", 4, f"{1 - kept / 4:.3f}", f"{2 * kept:.2f} of 8")
    assert set(rates["Operations of the group"]) == {2, 4}
