"""A table as Markdown that is as readable in a terminal as it is rendered.

Design choices: columns are padded to their width on screen; the two header lines of the paper become one, since
Markdown has no more, and what several columns share is said once, as in the paper; sentences are
wrapped, because a terminal does not.
"""

import re
import textwrap

from rich.cells import cell_len

from dropnas.report.grid import body, header
from dropnas.report.model import Table
from dropnas.report.notes import provenance, warning

WIDTH = 100
SPECIAL = re.compile(r"[|*`<]|\\(?=[!-/:-@\[-`{-~])")  # a backslash only where it would escape what follows


def markdown(table: Table) -> str:
    """The whole file: title, caption, warning, table, notes."""
    paragraphs = [f"# Table {table.number} (profile {table.profile})", _wrapped(table.caption)]
    if warning(table):
        paragraphs.append(_wrapped(f"**{warning(table)}**"))
    paragraphs += [_grid(table), _wrapped(provenance(table)), "\n".join(_item(note) for note in table.notes)]
    return "\n\n".join(paragraphs) + "\n"


def _grid(table: Table) -> str:
    rows = [_header(table), *(line.texts for line in body(table))]
    cells = [[_escaped(text) for text in row] for row in rows]
    widths = [max(3, *map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join(lines)


def _header(table: Table) -> list[str]:
    """One text for each column; a first line that several columns share stands over the first of them."""
    columns = header(table)
    before = ["", *(top for top, _ in columns[:-1])]
    shown = ((top if top != last else "", bottom) for (top, bottom), last in zip(columns, before, strict=True))
    return [" ".join(filter(None, lines)) for lines in shown]


def _line(cells: list[str], widths: list[int]) -> str:
    padded = (text + " " * (width - cell_len(text)) for text, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _escaped(text: str) -> str:
    """Text that cannot break the table or be taken for a mark of Markdown."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
