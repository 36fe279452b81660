"""A table in two forms: tidy data (a pandas DataFrame with a line for each number), and the texts for a reader."""

from dataclasses import asdict, fields

import pandas

from dropnas.artifacts.table_file import TableFile, TableNumber
from dropnas.report.frame import Frame, TextLine, numbered
from dropnas.report.printed import title
from dropnas.report.table import Table

SOURCE, REMARKS = ("Source", ""), ("Remarks", "")
SEVERAL = {"ours_values": " ", "runs": " ", "remarks": "; "}  # separators between the values of a field of the CSV


def data(table: TableFile) -> pandas.DataFrame:
    """All numbers of a table, one line each; properties of the entire table are repeated in every line."""
    names = [field.name for field in fields(TableNumber)]
    frame = pandas.DataFrame([asdict(one) for one in table.numbers], columns=names, dtype=object)
    for name, separator in SEVERAL.items():
        frame[name] = [separator.join(map(str, values)) for values in frame[name]]
    frame.insert(0, "table", table.table)
    common = {"profile": table.profile, "reproduction": str(table.reproduction).lower()}
    return frame.assign(**common, data="; ".join(table.data), hardware="; ".join(table.hardware))


def csv(frame: pandas.DataFrame) -> str:
    """Convert a frame to CSV, with the same line endings on every system."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def frame_of(table: Table) -> Frame:
    """Convert a table to texts: the paper's columns, with the source of each line after the labels."""
    layout, content = table.layout, table.content
    about = {one.row: one.remarks for one in content.numbers}
    cells, remarks = numbered([about[row.key] for row in layout.rows])
    of_row = dict(zip((row.key for row in layout.rows), cells, strict=True))
    lines: list[TextLine] = []
    before = None
    for row, line in table.lines:  # only the first line of a row has labels and remarks
        first, before = row is not before, row
        heads = row.heads if first else ("",) * len(row.heads)
        texts = (table.text(row, at, line) for at in range(len(layout.columns)))
        last = ((of_row[row.key] if first else ""),) if remarks else ()
        lines.append(TextLine((*heads, line.value, *texts, *last), rule=row.rule and first))
    return Frame(
        title=f"{title(content.table)} (profile {content.profile})",
        label=f"{content.table}-{content.profile}",
        caption=content.caption,
        warning=content.warning,
        header=(*layout.heads, SOURCE, *(one.header for one in layout.columns), *((REMARKS,) if remarks else ())),
        labels=len(layout.heads),
        lines=tuple(lines),
        provenance=_provenance(content),
        notes=(*content.notes, *remarks),
    )


def _provenance(table: TableFile) -> str:
    """Profile, data and hardware."""
    if not table.hardware:
        return f"Profile: {table.profile}. No runs of ours."
    return f"Profile: {table.profile}. Data: {', '.join(table.data)}. Hardware: {', '.join(table.hardware)}."
