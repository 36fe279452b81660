"""The common style, footer and output files of all figures.

Design choices: pyplot is not used, because its state is global. All figures share one style with the font that
matplotlib includes. Files contain no dates, and the salt of SVG ids is fixed, so that the same runs give identical
files. Text in SVG is converted to outlines, because labels are positioned by their width, which depends on the font.
Sizes are in inches and points. matplotlib lays out the panels; the footer is below them, and each file is cropped to
the drawn content.
"""

import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dropnas.errors import DropnasError

SHEET_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "savefig.bbox": "tight",
    "savefig.dpi": 200,
    "savefig.pad_inches": 0.08,
    "svg.fonttype": "path",
    "svg.hashsalt": "dropnas",
    "pdf.fonttype": 42,
}
METADATA: dict[str, dict[str, Any]] = {  # by format; None leaves out dates and versions
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
INK, GREY = "#1a1a1a", "#6b6b6b"  # both readable on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#8a5fa8", "#7a5c00", "#3d8fbf", "#b03a6f", "#555555")
LETTERS = (*ascii_lowercase, *("a" + letter for letter in ascii_lowercase))


def style() -> AbstractContextManager[None]:
    """Return the context manager in which a figure must be drawn and saved."""
    return matplotlib.rc_context(SHEET_STYLE)


def settle(figure: Figure) -> None:
    """Give all panels their final positions, so that labels can be placed next to points."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def footer(figure: Figure, sentences: Iterable[str]) -> None:
    """Write sentences below the finished figure, each starting on a new line."""
    settle(figure)
    width, height = figure.get_size_inches()
    lines = [line for text in sentences for line in textwrap.wrap(text, int(17.5 * width))]
    figure.text(0, -0.1 / height, "\n".join(lines), fontsize=6.5, color=GREY, va="top", ha="left")


def require_format(file: Path) -> Path:
    """Check that the file has the suffix .svg, .png or .pdf, and return it. Raises a DropnasError if it does not."""
    if file.suffix.lower() not in METADATA:
        known = " ".join(METADATA)
        raise DropnasError(f"{file.suffix or 'no suffix'} is not a format", where=file, remedy=f"use one of {known}")
    return file


def save(figure: Figure, file: Path) -> None:
    """Write a figure in the format of the file's suffix."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata=METADATA[file.suffix.lower()])
