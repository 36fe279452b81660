"""A table of peers as texts: a line for each published cell, ours in columns of their own beside the quoted figures."""

import pandas

from dropnas.analysis.summary import Summary
from dropnas.report.frame import Frame, TextLine, numbered
from dropnas.report.grid import NOT_RUN
from dropnas.report.model import Cell, Line, Row, Table
from dropnas.report.notes import EPOCHS, provenance, warning
from dropnas.report.peers_table import ERRORS, HEADS, Peers
from dropnas.report.printed import NOTHING, Layout, title

DIVIDER = " / "
PROTOCOL = (
    "'Quoted' is what the paper prints, from the peers' own papers and protocols; 'retrained here' is the published "
    "cell ('Cell' is its id, as 'dropnas inspect' takes it) under the protocol of this profile, as all cells of ours."
)
DEVIATION = "Ours: mean ± sample deviation (n-1, shown where n > 1) over n trainings with different seeds."
COUNTING = (
    "Computed parameters and multiply-adds are of the paper's network, whatever the profile trains: in 10⁶, auxiliary "
    "tower left out, batch norm after pooling as the profile has it."
)
EXCITATION = (
    "Squeeze-and-excitation is counted for DropNAS only, as printed; here all are trained with it, or none, as the "
    "profile has it."
)
MARKS = "The caption of the paper's Table {number}, for its marks: {caption}"


def frame(peers: Peers, paper: Layout) -> Frame:
    """The table for Markdown and LaTeX; errors of several kinds share a cell, and remarks are numbered."""
    table = peers.table
    numbers, remarks = numbered([peers.remarks[row.key] for row in table.rows])
    return Frame(
        title=f"{title(table.name)} (profile {table.profile})",
        label=f"{table.name}-{table.profile}",
        caption=table.caption,
        warning=warning(table),
        header=_header(table),
        labels=len(HEADS),
        lines=tuple(
            TextLine((*row.heads, *_texts(table, row, paper.decimals), number), row.rule)
            for row, number in zip(table.rows, numbers, strict=True)
        ),
        provenance=provenance(table),
        notes=(*notes(paper), *remarks),
    )


def notes(paper: Layout) -> tuple[str, ...]:
    """How to read a table of peers."""
    excitation = (EXCITATION,) if paper.trainings == "transfer" else ()
    marks = MARKS.format(number=paper.number, caption=paper.caption)
    return PROTOCOL, EPOCHS, DEVIATION, COUNTING, *excitation, marks


def _header(table: Table) -> tuple[tuple[str, str], ...]:
    errors = [column.header[1] for column in table.columns if column.quantity in ERRORS]
    kinds = DIVIDER.join(filter(None, errors))  # "Top-1 / Top-5" in Table 3
    return (
        *table.heads,
        ("Quoted error (%)", kinds),
        ("Retrained here (%)", "final epoch"),
        ("Retrained here (%)", "best on test"),
        ("n", ""),
        ("Parameters (M)", "printed"),
        ("Parameters (M)", "computed"),
        ("Multiply-adds", "(M)"),
        ("Remarks", ""),
    )


def _texts(table: Table, row: Row, digits: int) -> tuple[str, ...]:
    quantities = [column.quantity for column in table.columns]
    cells = dict(zip(quantities, row.cells, strict=True))
    errors = [cells[quantity] for quantity in quantities if quantity in ERRORS]
    parameters, work = cells["parameters"], cells["multiply_adds"]
    n = [measured.summary.n for cell in errors for measured in cell.ours]
    return (
        DIVIDER.join(_quoted(cell) for cell in errors),
        _ours(errors, Line.FINAL, digits),
        _ours(errors, Line.BEST, digits),
        str(n[0]) if n else NOTHING,
        _quoted(parameters),
        *(" ".join(measured.text for measured in cell.ours) or NOTHING for cell in (parameters, work)),
    )


def _quoted(cell: Cell) -> str:
    return cell.paper.text if cell.paper else NOTHING


def _ours(cells: list[Cell], line: Line, digits: int) -> str:
    """One number for each kind of error; a kind that was not measured is a dash."""
    if not cells[0].run:
        return NOT_RUN
    found = [[one.summary for one in cell.ours if one.line is line] for cell in cells]
    return DIVIDER.join(_spread(one[0], digits) if one else NOTHING for one in found)


def _spread(summary: Summary, digits: int) -> str:
    mean = f"{summary.mean:.{digits}f}"
    return mean if summary.std is None else f"{mean}±{summary.std:.{digits}f}"


def wide_csv(peers: Peers) -> str:
    """A line for each row, with all numbers in full precision, and what the other formats say around them."""
    text: str = pandas.DataFrame([_record(peers, row) for row in peers.table.rows], dtype=object).to_csv(
        index=False, lineterminator="\n"
    )
    return text


def _record(peers: Peers, row: Row) -> dict[str, object]:
    table = peers.table
    record: dict[str, object] = {
        "table": table.name,
        "paper_row": peers.paper_rows[row.key],
        "label": row.heads[0],
        "architecture": row.heads[1].replace(NOTHING, ""),
    }
    for column, cell in zip(table.columns, row.cells, strict=True):
        if cell.paper:
            record[f"{column.key}_quoted"] = cell.paper.text
    runs = {name for cell in row.cells for one in cell.ours if one.line is not Line.COUNTED for name in one.runs}
    return {
        **record,
        **_numbers(row),
        "remarks": "; ".join(peers.remarks[row.key]),
        "runs": " ".join(sorted(runs)),
        "profile": table.profile,
        "reproduction": str(table.reproduction).lower(),
        "data": "; ".join(table.data),
        "hardware": "; ".join(table.hardware),
    }


def _numbers(row: Row) -> dict[str, object]:
    """Of each quantity its mean and, of what was trained, deviation, best and values."""
    numbers: dict[str, object] = {}
    for measured in (measured for cell in row.cells for measured in cell.ours):
        if measured.line is Line.COUNTED:
            numbers[measured.quantity] = measured.summary.mean
            continue
        for statistic in ("n", "mean", "std", "best"):
            numbers[f"{measured.quantity}_{statistic}"] = getattr(measured.summary, statistic)
        numbers[f"{measured.quantity}_values"] = " ".join(map(repr, measured.summary.values))
    return numbers
