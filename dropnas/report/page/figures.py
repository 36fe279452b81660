"""The finished figures of the page: each picture, and the numbers behind it as text.

Design choices: a picture is a data URI, so that the page is one file. As a data URI, an SVG can neither run scripts nor
clash with names in the page. An SVG above the size limit is replaced by the PNG file.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dropnas.artifacts.figure_file import FigureFile
from dropnas.report.page.complete import FIGURE
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found

SVG_BOUND = 400_000  # bytes; a larger picture is embedded as PNG


@dataclass(frozen=True)
class PageFigure:
    """A figure: its name, its picture as a data URI, the id of the run that drew it, and its numbers."""

    name: str
    source: str
    run: str
    file: FigureFile


def page_figures(content: Content, found: Mapping[str, Found]) -> Iterator[PageFigure]:
    """Yield the figures of a plan in its order, without those whose run is not used."""
    for name in content.folders:
        one = found[content.target(name).id]
        if one.run.stage == FIGURE and one.counts:
            yield PageFigure(name, _source(one.folder / f"{name}.svg"), one.run.id, FigureFile.read(one.folder))


def _source(picture: Path) -> str:
    kind = "svg+xml"
    if picture.stat().st_size > SVG_BOUND:
        picture, kind = picture.with_suffix(".png"), "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"
