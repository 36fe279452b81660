"""A table as texts, with everything around it; Markdown, LaTeX and the page are rendered from it.

Design choices: the paper's tables, the published architectures and the verdicts differ only in the content of their
cells. Each therefore makes a frame, and the renderers know only this form. The texts are Unicode, as in the paper's
data file; a renderer that cannot show a character translates it. Remarks on single rows are numbered and listed below
the table, because no column is wide enough for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas


@dataclass(frozen=True)
class TextLine:
    """A line of a table: its text in each column, and whether a rule is drawn above it."""

    texts: tuple[str, ...]
    rule: bool = False


@dataclass(frozen=True)
class Frame:
    """A complete table.

    Attributes:
        title: name of the table, with its profile.
        label: label by which a LaTeX document refers to it.
        caption: what the table shows.
        warning: states that it is not a reproduction; empty if it is one.
        header: the two header lines of each column; adjacent columns with an equal first line share it.
        labels: number of columns, from the left, that are labels.
        lines: the lines of the table.
        provenance: profile, data and hardware; empty if nothing was run.
        notes: notes on how to read it, one or two sentences each.
    """

    title: str
    label: str
    caption: str
    warning: str
    header: tuple[tuple[str, str], ...]
    labels: int
    lines: tuple[TextLine, ...]
    provenance: str
    notes: tuple[str, ...]

    @property
    def texts(self) -> pandas.DataFrame:
        """The table with one header line; a shared header is above the first of its columns."""
        shared = (top if top != before else "" for (before, _), (top, _) in pairwise([("", ""), *self.header]))
        heads = [" ".join(filter(None, lines)) for lines in zip(shared, (low for _, low in self.header), strict=True)]
        return pandas.DataFrame([line.texts for line in self.lines], columns=heads, dtype=str)


def numbered(remarks: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Remarks on rows as numbers and a list.

    Args:
        remarks: the remarks of each row, in order.

    Returns:
        For each row the numbers of its remarks (`1, 3`; empty if there are none), and the numbered remarks. A remark
        that several rows share has one number.
    """
    texts = list(dict.fromkeys(text for row in remarks for text in row))
    cells = [", ".join(map(str, sorted(texts.index(text) + 1 for text in row))) for row in remarks]
    return cells, [f"Remark {number}: {text}." for number, text in enumerate(texts, start=1)]
