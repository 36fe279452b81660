"""The finished figures of the page: each picture, and the numbers behind it as text.

Design choices: a picture is a data URI, so that the page is one file. As a data URI, an SVG can neither run scripts nor
clash with names in the page. An SVG above the size limit is replaced by the PNG file.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from pandas import DataFrame

from dropnas.artifacts.figure_file import FigureFile
from dropnas.report.page.complete import FIGURE
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found
from dropnas.report.printed import title

SVG_BOUND = 400_000  # bytes; six of them keep the page far below its 4 MB


@dataclass(frozen=True)
class PageFigure:
    """A figure: its picture as a data URI, its caption, the run that drew it, and the numbers behind it."""

    name: str
    title: str
    source: str
    caption: str
    run: str
    foot: str
    facts: DataFrame


def page_figures(content: Content, found: Mapping[str, Found]) -> list[PageFigure]:
    """The figures of a plan whose own run counts, in the plan's order."""
    targets = [(name, found[content.target(name).id]) for name in content.folders]
    return [_figure(name, one) for name, one in targets if one.run.stage == FIGURE and one.counts]


def _figure(name: str, one: Found) -> PageFigure:
    data = FigureFile.read(one.folder)
    low, high = data.n
    n = low if low == high else f"{low} to {high}"
    foot = f"Profile {data.profile}; n = {n}; {', '.join(data.data)}; {', '.join(data.hardware)}"
    facts = DataFrame(data.facts.rows, columns=list(data.facts.head))
    return PageFigure(name, title(name), _source(one, name), data.caption, one.run.id, foot, facts)


def _source(one: Found, name: str) -> str:
    picture = one.folder / f"{name}.svg"
    if picture.stat().st_size > SVG_BOUND:
        picture = picture.with_suffix(".png")
    kind = {".svg": "svg+xml", ".png": "png"}[picture.suffix]
    return f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"
