"""The copies in results/, the metrics, and the text for the terminal."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from dropnas.report.publish import metrics, refresh
from dropnas.report.terminal import summary

Cases = dict[str, Any]


@pytest.fixture
def tables(cases: Cases, tmp_path: Path) -> list[Path]:
    """Run folders of the six tables."""
    return [case.build(tmp_path / "runs" / f"{name}-tiny-0123456789") for name, case in cases.items()]


def test_tables_are_copied_byte_for_byte(tables: list[Path], tmp_path: Path) -> None:
    destination = tmp_path / "results" / "tiny"
    changed = refresh(tables, destination)
    copies = sorted(path for path in destination.rglob("*") if path.is_file())
    assert sorted(changed) == copies
    assert len(copies) == 6 * 3 + 2
    for folder in tables:
        for source in folder.glob("table?.*"):
            assert (destination / "tables" / source.name).read_bytes() == source.read_bytes()


def test_a_second_refresh_touches_nothing(tables: list[Path], tmp_path: Path) -> None:
    refresh(tables, tmp_path / "results")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    assert refresh(tables, tmp_path / "results") == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == before


def test_only_what_differs_is_written(tables: list[Path], tmp_path: Path) -> None:
    refresh(tables, tmp_path / "results")
    damaged = tmp_path / "results" / "tables" / "table5.md"
    damaged.write_text("half")
    assert refresh(tables, tmp_path / "results") == [damaged]


def test_a_table_that_is_refreshed_alone_leaves_the_others(tables: list[Path], tmp_path: Path) -> None:
    refresh(tables, tmp_path / "together")
    for folder in tables:
        refresh([folder], tmp_path / "alone")
    together = (tmp_path / "together" / "metrics.json").read_bytes()
    assert (tmp_path / "alone" / "metrics.json").read_bytes() == together


def test_metrics_are_our_numbers_by_table_row_and_column(tables: list[Path]) -> None:
    found = metrics(tables)
    assert list(found) == [f"table{number}" for number in range(1, 7)]
    assert list(found["table5"]) == ["1e-5", "3e-5"]
    cell = found["table4"]["cifar10/original"]["dropnas"]
    assert cell["top1_error_best_on_test_best"] == 2.44
    assert cell["top1_error_best_on_test_mean"] == pytest.approx(2.51)
    assert cell["top1_error_final_n"] == 3
    single = found["table6"]["cifar100"]["no-grouping"]
    assert single == {
        "top1_error_final_mean": 2.675,
        "top1_error_final_best": 2.675,
        "top1_error_final_n": 1,
        "top1_error_best_on_test_mean": 2.44,
        "top1_error_best_on_test_best": 2.44,
        "top1_error_best_on_test_n": 1,
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_in_short_there_is_a_number_for_each_table(tables: list[Path], tmp_path: Path) -> None:
    refresh(tables, tmp_path)
    found = json.loads((tmp_path / "errors.json").read_text())["lowest_error"]
    whole = json.loads((tmp_path / "metrics.json").read_text())
    assert set(found) == {f"table{number}" for number in range(1, 7)}
    for table, lowest in found.items():
        means = [cell.get("top1_error_final_mean", 100.0) for row in whole[table].values() for cell in row.values()]
        assert lowest == round(sorted(means)[0], 2)


def test_summary_shows_our_numbers_beside_the_papers(tables: list[Path]) -> None:
    text = summary(tables)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Table 4: The performance of DropNAS and one-level DARTS across different search spaces on" in lines
    assert "Test Error (%) one-level DARTS 2.64±0.13 (n=3) 2.51±0.09 (n=3) 3.19±0.18" in lines
    assert "3\N{MULTIPLICATION SIGN}10⁻⁵ 2.64±0.13 (n=3) 2.51±0.09 (n=3) 2.72±0.04" in lines
    assert "Data: digits-300-100. Hardware: Imaginary GPU." in lines
    assert sum("Not a reproduction of the paper: profile 'tiny'" in line for line in lines) == 1
    for folder in tables:
        assert f"In full: {folder / folder.name.partition('-')[0]}.md" in lines


def test_summary_is_readable_in_100_columns(tables: list[Path]) -> None:
    lines = [line for line in summary(tables).splitlines() if not line.startswith("In full")]
    assert max(map(cell_len, lines)) <= 100
    assert "(\n" not in summary(tables)
