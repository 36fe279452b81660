"""Verdicts on the cells of tables with made-up runs."""

from pathlib import Path

import pytest

from dropnas.analysis.best_of import expected_lowest
from dropnas.analysis.comparison import Sample
from dropnas.analysis.finished_runs import read_run
from dropnas.analysis.verdict import Verdict
from dropnas.artifacts.verdicts_file import CellVerdict
from dropnas.report.table_stage import build
from dropnas.report.verdicts import p_text, verdicts
from tests.unit.report.conftest import Case
from tests.unit.report.made_tables import made_table, with_spread

SAME = {("cifar10", "dropnas"): with_spread(2.59, 0.1, 8), ("cifar10", "no-grouping"): with_spread(3.5, 0.1, 8)}


def only(found: list[CellVerdict]) -> CellVerdict:
    assert len(found) == 1
    return found[0]


def test_each_cell_with_both_numbers_has_a_verdict() -> None:
    agrees, differs = verdicts(made_table("table6", SAME))
    assert (agrees.row, agrees.column, agrees.verdict) == ("cifar10", "dropnas", Verdict.AGREES)
    assert (differs.column_label, differs.verdict) == ("Test Err. (%) No grouping", Verdict.DIFFERS)
    assert (agrees.kind, agrees.n, agrees.n_paper, agrees.quantity) == ("mean", 8, 8, "top1_error_best_on_test")
    assert (agrees.ours_text, agrees.paper_text) == ("2.59±0.10 (n=8)", "2.58±0.14")
    assert differs.difference == pytest.approx(0.76)
    assert differs.interval and differs.interval[0] < 0.76 < differs.interval[1]
    assert len(differs.runs) == 8


def test_a_difference_that_is_measurable_but_small_agrees_and_says_so() -> None:
    found = only(verdicts(made_table("table5", {("1e-5", "3e-5"): with_spread(2.63, 0.03, 8)})))
    assert found.verdict is Verdict.AGREES
    assert found.p_differs is not None and found.p_differs < 0.05
    assert "Differs by \N{MINUS SIGN}0.09 points" in found.reason and "within ±0.2 points" in found.reason


def test_the_margin_is_that_of_the_data_set() -> None:
    """A difference of 0.3 points with little scatter: above the margin of CIFAR-10, below that of CIFAR-100."""
    near = {("cifar100/1-skip", "dropnas"): with_spread(16.77, 0.05, 8)}
    far = {("cifar10/1-skip", "dropnas"): with_spread(2.97, 0.05, 8)}
    assert only(verdicts(made_table("table4", near))).verdict is Verdict.AGREES
    assert only(verdicts(made_table("table4", far))).verdict is Verdict.DIFFERS


def test_mean_and_best_of_eight_are_two_comparisons() -> None:
    values = with_spread(2.6, 0.15, 8)
    mean, best = verdicts(made_table("table1", {("dropnas", "error"): values}))
    assert (mean.kind, mean.paper_text, best.kind, best.paper_text) == ("mean", "2.58±0.14", "best", "2.26")
    expected = expected_lowest(Sample(8, 2.6, 0.15), 8)
    assert best.difference == pytest.approx(expected - 2.26)
    assert best.ours_text == f"{expected:.2f} expected as best of 8 (lowest seen {min(values):.2f}, n=8)"
    assert best.n_paper == 8
    assert best.reason.endswith("if the paper's runs vary as ours do")


def test_a_single_printed_number_is_one_training() -> None:
    near = {
        ("dropnas-cifar10", "top1"): with_spread(23.4, 0.02, 5),
        ("dropnas-cifar10", "top5"): [9.9, 9.8, 9.85, 9.95],
    }
    top1, top5 = verdicts(made_table("table3", near))
    assert (top1.kind, top1.n_paper, top1.verdict, top1.paper_text) == ("single", 1, Verdict.AGREES, "23.4")
    assert (top5.verdict, top5.quantity) == (Verdict.DIFFERS, "top5_error_best_on_test")


def test_a_single_run_is_too_few() -> None:
    single = only(verdicts(made_table("table1", {("dropnas-augmented", "error"): [1.95]})))
    assert (single.verdict, single.interval, single.p_differs) == (Verdict.TOO_FEW, None, None)
    assert single.difference == pytest.approx(0.07)
    _, best = verdicts(made_table("table1", {("dropnas", "error"): [2.5]}))
    assert (best.verdict, best.difference) == (Verdict.TOO_FEW, None)


def test_a_cell_with_too_few_runs_does_not_cost_the_others_anything() -> None:
    alone = verdicts(made_table("table5", {("3e-5", "3e-5"): with_spread(2.7, 0.1, 8)}))[0]
    beside = verdicts(made_table("table5", {("3e-5", "3e-5"): with_spread(2.7, 0.1, 8), ("1e-5", "1e-5"): [2.6]}))
    assert [one.p_differs for one in beside] == [None, alone.p_differs]


def test_what_is_no_reproduction_is_not_compared() -> None:
    for found in verdicts(made_table("table6", SAME, reproduction=False)):
        assert (found.verdict, found.difference, found.p_agrees) == (Verdict.NOT_COMPARABLE, None, None)
        assert "profile 'smoke'" in found.reason


def test_published_baselines_and_counts_are_not_compared() -> None:
    rows = {
        ("pc-darts", "error"): with_spread(2.6, 0.1, 4),
        ("pc-darts", "params"): [3.6],
        ("dropnas", "params"): [4.1],
    }
    baseline, count = verdicts(made_table("table1", rows))
    assert (baseline.row, baseline.n_paper, baseline.verdict) == ("pc-darts", None, Verdict.NOT_COMPARABLE)
    assert "another paper" in baseline.reason
    assert (count.row, count.column, count.verdict) == ("dropnas", "params", Verdict.NOT_COMPARABLE)
    assert count.ours_text == "as released 4.1"


def test_retrainings_of_one_architecture_are_no_further_searches() -> None:
    """Two searches, each retrained four times, give two values: the first of each."""
    names = [f"seed{seed}-train{seed + 1000 * k}-{seed * 10 + k:010x}" for seed in range(2) for k in range(4)]
    values = [2.5, 9.0, 9.0, 9.0, 2.7, 9.0, 9.0, 9.0]
    found = only(verdicts(made_table("table5", {("3e-5", "3e-5"): values}, runs=names)))
    assert (found.n, found.runs, found.ours_text) == (2, (names[0], names[4]), "2.60±0.14 (n=2)")


def test_runs_without_spread_decide_nothing_by_themselves() -> None:
    single = only(verdicts(made_table("table3", {("dropnas-cifar10", "top1"): [23.4, 23.4]})))
    assert (single.verdict, single.interval) == (Verdict.UNDECIDED, None)
    assert "all runs gave the same number" in single.reason


def test_tables_that_were_built_from_runs(cases: dict[str, Case]) -> None:
    """The tables of the table stage, of which one in six is a reproduction."""
    for name, case in cases.items():
        found = verdicts(build(case.config, [read_run(Path(folder)) for folder in case.inputs]))
        comparable = {one.verdict for one in found} - {Verdict.NOT_COMPARABLE}
        assert found and bool(comparable) == (name == "table2")
        assert all(one.runs and one.reason for one in found)


def test_a_p_value_is_never_rounded_across_the_level() -> None:
    assert [p_text(p) for p in (0.0004, 0.0312, 0.0503, 0.05, 0.7)] == [
        "p < 0.001",
        "p = 0.031",
        "p = 0.05030",
        "p = 0.05",
        "p = 0.7",
    ]
