"""What choosing epoch and best seed on the test set is worth, for each experiment that has trainings here."""

from collections.abc import Iterable
from dataclasses import dataclass

from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.report.build import METHOD_COLUMN
from dropnas.report.model import Table
from dropnas.report.page.complete import Complete
from dropnas.report.printed import title
from dropnas.report.selection import Selection, selection


@dataclass(frozen=True)
class PageSelection:
    """An experiment, under the name of the first table that has it, and what the choices are worth there."""

    name: str
    table: str
    experiment: str
    selection: Selection


def page_selections(complete: Iterable[Complete]) -> list[PageSelection]:
    """Each experiment once, in the order of the tables."""
    seen = set()
    shown = []
    for one in complete:
        for (row, column), folders in one.trainings.items():
            if folders not in seen:
                trainings = [read_training(read_run(folder)) for folder in folders]
                place = _label(one.table, row, column)
                shown.append(PageSelection(one.table.name, title(one.table.name), place, selection(trainings)))
            seen.add(folders)
    return shown


def _label(table: Table, row: str, column: str) -> str:
    """Row and column as the table shows them; where a method fills its row, the row alone."""
    texts = [" ".join(one.heads) for one in table.rows if one.key == row]
    texts += [one.header[-1] or one.header[0] for one in table.columns if one.key == column and column != METHOD_COLUMN]
    corner = table.heads[-1][0]  # "O_np \\ O_p" names what both are
    return f"{corner}: {', '.join(texts)}" if "\\" in corner else ", ".join(texts)
