"""Finished figures inside the page: the picture, and the numbers behind it as text.

Design choices: a picture is a data URI, so that the page is one file, and an SVG that way can neither run scripts nor
clash with the page's names; one that is larger than its bound gives way to the PNG beside it. The numbers of
figure.json are below as a table, for readers who cannot see the picture.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from dropnas.artifacts.figure_file import FigureFile
from dropnas.report.page.complete import FIGURE
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found
from dropnas.report.printed import title

SVG_BOUND = 400_000  # bytes; six of them keep the page far below its 5 MB


@dataclass(frozen=True)
class PageFigure:
    """A figure: its picture as a data URI, what it shows, and the numbers behind it."""

    name: str
    title: str
    source: str
    caption: str
    alt: str
    run: str
    foot: str
    head: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]


def page_figures(content: Content, found: Mapping[str, Found]) -> list[PageFigure]:
    """The figures of a plan whose own run counts, in the plan's order."""
    targets = [(name, found[content.target(name).id]) for name in content.folders]
    return [_figure(name, one) for name, one in targets if one.run.stage == FIGURE and one.counts]


def _figure(name: str, one: Found) -> PageFigure:
    data = FigureFile.read(one.folder)
    (low, high), facts = data.n, data.facts
    foot = f"Profile {data.profile}; n = {low if low == high else f'{low} to {high}'}; " + "; ".join(
        (", ".join(data.data), ", ".join(data.hardware))
    )
    alt = f"{data.caption} Its numbers are in the table below the picture."
    picture = _source(one, name)
    return PageFigure(name, title(name), picture, data.caption, alt, one.run.id, foot, facts.head, facts.rows)


def _source(one: Found, name: str) -> str:
    picture = one.folder / f"{name}.svg"
    if picture.stat().st_size > SVG_BOUND:
        picture = picture.with_suffix(".png")
    kind = {".svg": "svg+xml", ".png": "png"}[picture.suffix]
    return f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"
