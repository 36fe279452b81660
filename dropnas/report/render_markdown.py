"""Renders a table as Markdown that is readable in a terminal too: pandas sets the table, sentences are wrapped."""

import re
import textwrap

from dropnas.report.frame import Frame

WIDTH = 100
SPECIAL = re.compile(r"[|*`<]|\\(?=[!-/:-@\[-`{-~])")  # a backslash only if it would escape the next character


def markdown(frame: Frame) -> str:
    """Render the whole file: title, caption, warning, table and notes."""
    warning = f"**{frame.warning}**" if frame.warning else ""
    paragraphs = [f"# {frame.title}", _wrapped(frame.caption), _wrapped(warning), grid(frame)]
    paragraphs += [_wrapped(frame.provenance), "\n".join(_wrapped(note, "- ", "  ") for note in frame.notes)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def grid(frame: Frame) -> str:
    """Render the table only."""
    texts = frame.texts.map(_escaped).rename(columns=_escaped)
    text: str = texts.to_markdown(index=False, tablefmt="github", disable_numparse=True)
    return text


def _escaped(text: str) -> str:
    """Escape characters that would break the table or count as Markdown."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _wrapped(text: str, first: str = "", later: str = "") -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
