"""From the runs behind a cell to its numbers."""

from dataclasses import replace

import pytest

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.artifacts.table_file import TableNumber
from dropnas.report.measure import CellRuns, measure
from dropnas.report.printed import layouts
from tests.unit.report.conftest import Runs


@pytest.mark.parametrize(("seconds", "days"), [(47_430, "0.5"), (47_620, "0.6"), (3_600, "0.0"), (950_400, "11.0")])
def test_a_search_costs_days_of_86400_seconds(runs: Runs, seconds: float, days: str) -> None:
    trained = read_training(read_run(runs.training("one", 2.8, 2.6)))
    search = replace(trained.run, stage="search", seconds=seconds)
    blank = TableNumber("dropnas", "DropNAS", "days", "Search Cost", "search_days", "")
    (found,) = measure(layouts()["table1"], blank, CellRuns([search], [trained], trained))
    assert (found.ours, found.quantity, found.n) == (days, "search_device_days", 1)
