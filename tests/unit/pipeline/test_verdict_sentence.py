"""The sentence at the end of a start: the paper's claims, and no others, with their outcomes."""

from pathlib import Path

import pytest

from dropnas.artifacts.verdicts_file import ClaimResult, VerdictsFile
from dropnas.pipeline.publish_results import verdict

PAPERS = [("Table 4, Section 5.3", "holds"), ("Table 6", "too few runs"), ("Table 5", "too few runs")]
BASELINE = ("Baselines, beyond the paper", "holds")


@pytest.mark.parametrize(
    ("reproduction", "warning"), [(True, ""), (False, " These runs are not a reproduction of the paper.")]
)
def test_baselines_are_no_claims_of_the_paper(tmp_path: Path, reproduction: bool, warning: str) -> None:
    claims = tuple(ClaimResult("", "", where, "", outcome, "", (), True) for where, outcome in (*PAPERS, BASELINE))
    VerdictsFile("study", reproduction, claims, ()).write(tmp_path)
    assert verdict(tmp_path) == f"The paper's 3 claims: 2 with too few runs, 1 hold.{warning}"
