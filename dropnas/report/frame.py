"""A table in text form, with its caption and notes. Markdown, LaTeX and the page are rendered from this form.

Design choices: the paper's tables, the published architectures and the verdicts differ only in the content of their
cells. All of them are therefore converted to a Frame, the only form that the renderers accept. The texts are Unicode,
as in `printed.yaml`; a renderer that cannot show a character translates it. Remarks on individual rows are numbered and
listed below the table, because they are too long for a column.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas
import yaml

MARKDOWN_WIDTH = 100  # line length to which sentences in Markdown are wrapped
MARKDOWN_SPECIAL = re.compile(
    r"[|*`<]|\\(?=[!-/:-@\[-`{-~])"
)  # a backslash is special only if it would escape the next character


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
        caption: what the table shows.
        header: the two header lines of each column; adjacent columns with the same first line share it.
        labels: number of label columns, which are on the left.
        lines: the lines of the table.
        label: the label with which a LaTeX document refers to the table.
        warning: states that the table is not a reproduction; empty for a reproduction.
        provenance: profile, data and hardware; empty for the counts of architectures, which need no training.
        notes: notes on how to read it, one or two sentences each.
    """

    title: str
    caption: str
    header: tuple[tuple[str, str], ...]
    labels: int
    lines: tuple[TextLine, ...]
    label: str = ""
    warning: str = ""
    provenance: str = ""
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> pandas.DataFrame:
        """The table with a single header line. Only the first of several columns keeps the header that they share."""
        shared = (top if top != before else "" for (before, _), (top, _) in pairwise([("", ""), *self.header]))
        heads = [" ".join(filter(None, lines)) for lines in zip(shared, (low for _, low in self.header), strict=True)]
        return pandas.DataFrame([line.texts for line in self.lines], columns=heads, dtype=str)


@cache
def wording(tables: str) -> dict[str, str]:
    """The caption and notes of a kind of table: `tables`, `published` or `architectures`."""
    found: dict[str, str] = yaml.safe_load(Path(__file__).with_name("notes.yaml").read_text(encoding="utf-8"))[tables]
    return found


def numbered(remarks: Mapping[Any, Sequence[str]]) -> tuple[dict[Any, str], list[str]]:
    """Number the remarks of each row; if several rows have the same remark, it gets a single number.

    Returns:
        The numbers of each row's remarks, such as `1, 3` (empty if it has none), and the list of numbered remarks.
    """
    texts = list(dict.fromkeys(text for own in remarks.values() for text in own))
    numbers = {row: ", ".join(map(str, sorted(texts.index(text) + 1 for text in own))) for row, own in remarks.items()}
    return numbers, [f"Remark {number}: {text}." for number, text in enumerate(texts, start=1)]


def markdown(frame: Frame) -> str:
    """Render the whole file: title, caption, warning, table and notes."""
    warning = f"**{frame.warning}**" if frame.warning else ""
    notes = "\n".join(_wrapped(note, "- ", "  ") for note in frame.notes)
    table = titled(frame.title, frame.texts, frame.caption, warning)
    return "\n\n".join(filter(None, (table, _wrapped(frame.provenance), notes))) + "\n"


def titled(title: str, table: pandas.DataFrame, *before: str) -> str:
    """Render a table as Markdown, after a title and wrapped paragraphs; empty paragraphs are left out."""
    texts = table.map(_escaped).rename(columns=_escaped)
    grid = texts.to_markdown(index=False, tablefmt="github", disable_numparse=True)
    return "\n\n".join(filter(None, (f"# {title}", *map(_wrapped, before), grid)))


def tidy(entries: Sequence[Any], kind: type, several: Mapping[str, str]) -> pandas.DataFrame:
    """Make a data frame with one row for each object of the dataclass `kind` and one column for each of its fields.

    `several` maps the name of each sequence field to the separator that joins its values.
    """
    frame = pandas.DataFrame(map(asdict, entries), columns=[field.name for field in fields(kind)], dtype=object)
    for name, separator in several.items():
        frame[name] = [separator.join(map(str, values or ())) for values in frame[name]]
    return frame


def csv(frame: pandas.DataFrame) -> str:
    """Convert a frame to CSV, with the same line endings on every system."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _escaped(text: str) -> str:
    """Escape characters that would break the table or be interpreted as Markdown."""
    return MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _wrapped(text: str, first: str = "", later: str = "") -> str:
    return textwrap.TextWrapper(MARKDOWN_WIDTH, first, later, break_long_words=False, break_on_hyphens=False).fill(text)
