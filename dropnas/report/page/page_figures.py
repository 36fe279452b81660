"""Finished figures inside the page: the picture, and the numbers behind it as text.

Design choices: a picture is a data URI, so that the page is one file, and an SVG that way can neither run scripts nor
clash with the page's names; one that is larger than its bound gives way to the PNG beside it. The numbers of
figure.json stand below as a table, for readers who cannot see the picture.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropnas.artifacts.figure_file import (
    ClustersFigure,
    ClustersPanel,
    CorrelationPanel,
    CorrelationsFigure,
    CoursesFigure,
    FigureFile,
    GenotypePanel,
    GenotypesFigure,
    MethodCourse,
    RatePoint,
    RatesFigure,
)
from dropnas.artifacts.genotype_file import Edge
from dropnas.report.page.complete import FIGURE
from dropnas.report.page.lines import title
from dropnas.report.page.planned import Content
from dropnas.report.page.survey import Found

SVG_BOUND = 400_000  # bytes; six of them keep the page far below its 5 MB
CAPTIONS = {
    "figure1": "Feature clusters of the operations on edge (0, 2) after a search by one-level DARTS (Figure 1).",
    "figure2": "Test accuracy of the found architectures against the drop path rate (Figure 2).",
    "figure3": "The best cells that DropNAS found (Figure 3).",
    "figure4": "Feature clusters of the operations on edge (0, 2) after a search by DropNAS (Figure 4).",
    "figure5": "Stand-alone accuracy of the operations on an edge against their architecture parameters (Figure 5).",
    "courses": "What the architecture parameters do during the searches: entropy, skip-connects kept, changes of the "
    "genotype (beyond the paper).",
}
Facts = Iterator[tuple[str, ...]]


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
    kind, head, facts = FACTS[name]
    data = kind.read(one.folder)
    rows, (low, high) = tuple(facts(data.panels)), data.n
    foot = f"Profile {data.profile}; n = {low if low == high else f'{low} to {high}'}; " + "; ".join(
        (", ".join(data.data), ", ".join(data.hardware))
    )
    alt = f"{CAPTIONS[name]} Its numbers are in the table below the picture."
    return PageFigure(name, title(name), _source(one, name), CAPTIONS[name], alt, one.run.id, foot, head, rows)


def _source(one: Found, name: str) -> str:
    picture = one.folder / f"{name}.svg"
    if picture.stat().st_size > SVG_BOUND:
        picture = picture.with_suffix(".png")
    kind = {".svg": "svg+xml", ".png": "png"}[picture.suffix]
    return f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _clusters(panels: Mapping[str, ClustersPanel]) -> Facts:
    for panel, shown in panels.items():
        for cell, one in (("first", shown.statistics.first), ("last", shown.statistics.last)):
            means = one.silhouette_parameterised_mean, one.silhouette_parameterised_std
            yield panel, f"{cell} cell", *map(_text, means), _text(one.single_member_share), f"{one.n}"


def _sweep(panels: Mapping[str, Sequence[RatePoint]]) -> Facts:
    for panel, series in panels.items():
        for one in series:
            best, final = (sum(errors) / len(errors) for errors in (one.best, one.final))
            yield panel, one.label, f"{best:.2f}", f"{final:.2f}", f"{len(one.best)}"


def _cells(panels: Mapping[str, GenotypePanel]) -> Facts:
    for panel, shown in panels.items():
        yield panel, "normal cell", edges(shown.genotype.normal)
        yield panel, "reduction cell", edges(shown.genotype.reduce)


def _correlations(panels: Mapping[str, CorrelationPanel]) -> Facts:
    for panel, shown in panels.items():
        edge = f"({panel.replace(',', ', ')})"
        for operation in shown.operations:
            yield edge, operation.operation, _text(operation.p), _text(operation.accuracy_best)
        for name, one in (("Pearson", shown.pearson), ("Spearman", shown.spearman)):
            yield edge, name, _text(one.value), f"95 % interval {_text(one.low)} to {_text(one.high)}"


def _courses(panels: Mapping[str, Sequence[MethodCourse]]) -> Facts:
    for panel, series in panels.items():
        for one in series:
            entropy, skips, changes = one.entropy_normal.mean, one.skips_normal.mean, one.changes.mean
            yield panel, one.label, _text(entropy[0]), _text(entropy[-1]), _text(skips[-1]), _text(sum(changes))


def edges(cell: Sequence[Edge]) -> str:
    """A cell in words: for each node what it is made of."""
    nodes = [cell[index : index + 2] for index in range(0, len(cell), 2)]
    return "; ".join(
        f"node {number}: " + " + ".join(f"{operation} of {predecessor}" for operation, predecessor in node)
        for number, node in enumerate(nodes, 2)
    )


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"


CLUSTERS = ("Data", "Cell", "Silhouette of parameterised operations", "Deviation", "Single-member share", "n")
RATES = ("Data", "Drop path rate", "Error, best on test (%)", "Error, final epoch (%)", "n")
COURSES = ("Data", "Method", "Entropy at start", "Entropy at end", "Skip-connects at end", "Changes")
FACTS: dict[str, tuple[type[FigureFile], tuple[str, ...], Callable[[dict[str, Any]], Facts]]] = {
    "figure1": (ClustersFigure, CLUSTERS, _clusters),
    "figure2": (
        RatesFigure,
        ("Data", "Drop path rate", "Error, best on test (%)", "Error, final epoch (%)", "n"),
        _sweep,
    ),
    "figure3": (GenotypesFigure, ("Data", "Cell", "Edges"), _cells),
    "figure4": (ClustersFigure, CLUSTERS, _clusters),
    "figure5": (CorrelationsFigure, ("Edge", "Operation", "p", "Stand-alone accuracy (%)"), _correlations),
    "courses": (CoursesFigure, COURSES, _courses),
}
