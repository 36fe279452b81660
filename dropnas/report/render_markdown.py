"""A table as Markdown that is as readable in a terminal as it is rendered.

Design choices: columns are padded to their width on screen; the two header lines of the paper become one, since
Markdown has no more, and what several columns share is said once, as in the paper; sentences are
wrapped, because a terminal does not.
"""

import re
import textwrap

from rich.cells import cell_len

from dropnas.report.frame import Frame

WIDTH = 100
SPECIAL = re.compile(r"[|*`<]|\\(?=[!-/:-@\[-`{-~])")  # a backslash only where it would escape what follows


def markdown(frame: Frame) -> str:
    """The whole file: title, caption, warning, table, notes."""
    warning = f"**{frame.warning}**" if frame.warning else ""
    paragraphs = [f"# {frame.title}", _wrapped(frame.caption), _wrapped(warning), _grid(frame)]
    paragraphs += [_wrapped(frame.provenance), "\n".join(_item(note) for note in frame.notes)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _grid(frame: Frame) -> str:
    rows = [_header(frame), *(line.texts for line in frame.lines)]
    cells = [[_escaped(text) for text in row] for row in rows]
    widths = [max(3, *map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join(lines)


def _header(frame: Frame) -> list[str]:
    """One text for each column; a first line that several columns share stands over the first of them."""
    columns = frame.header
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
