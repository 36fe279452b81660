"""A table as texts, with all that stands around it: what Markdown, LaTeX and the page are set from.

Design choices: the paper's tables, the published architectures and the verdicts differ in the content of cells and in
nothing else, so each makes a frame and the renderers know no other form. The texts are Unicode as in the paper's data
file; a renderer that cannot show them translates. Sentences that belong to single rows are numbered and listed below,
since no column is wide enough for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas


@dataclass(frozen=True)
class TextLine:
    """One line of a table: its texts, one for each column; and whether a rule is drawn above it."""

    texts: tuple[str, ...]
    rule: bool = False


@dataclass(frozen=True)
class Frame:
    """A whole table.

    Attributes:
        title: which table it is, with its profile.
        label: by which a LaTeX document refers to it.
        caption: what it shows.
        warning: that it reproduces nothing; empty if it does.
        header: the two header lines of each column; neighbours with an equal first line share it.
        labels: how many of the columns, from the left, are labels.
        lines: the table itself.
        provenance: profile, data and hardware; empty where nothing was run.
        notes: how to read it, one sentence or two each.
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
        """The table in one header line; what several columns share stands over the first of them."""
        shared = (top if top != before else "" for (before, _), (top, _) in pairwise([("", ""), *self.header]))
        heads = [" ".join(filter(None, lines)) for lines in zip(shared, (low for _, low in self.header), strict=True)]
        return pandas.DataFrame([line.texts for line in self.lines], columns=heads, dtype=str)


def numbered(remarks: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Remarks on rows as numbers and a list.

    Args:
        remarks: of each row, in order.

    Returns:
        For each row the numbers of its remarks (`1, 3`, empty where there are none), and the notes that explain them;
        a remark that several rows share has one number.
    """
    texts = list(dict.fromkeys(text for row in remarks for text in row))
    cells = [", ".join(map(str, sorted(texts.index(text) + 1 for text in row))) for row in remarks]
    return cells, [f"Remark {number}: {text}." for number, text in enumerate(texts, start=1)]
