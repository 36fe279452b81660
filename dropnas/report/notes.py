"""The sentences under and above a table: whose numbers these are and how they are to be read.

Design choices: everything that a reader could mistake is said in the table's own file, since a table is copied
without its surroundings: profile, hardware, what ± means, which epoch, which parameters, and that a small profile
reproduces nothing.
"""

from typing import Protocol

from dropnas.report.printed import Layout

SOURCES = (
    "Source: 'quoted' marks a row that we do not run, with the paper's numbers; 'paper' is what the paper prints for a "
    "row that we do run, and ours stand below it."
)
EPOCHS = (
    "'final epoch' is the test error after the last epoch; 'best on test' is the lowest of any epoch, chosen on the "
    "test set, which is what the paper printed."
)
DEVIATION = (
    "Ours: mean ± sample deviation (n-1, shown where n > 1) over n trained networks, at least one for each search "
    "seed. In the paper's own rows ± is the population deviation over 8 seeds."
)
BEST_AND_MEAN = "Several seeds are set as in the paper: best (mean ± deviation)."
PARAMETERS = (
    "Our parameters are those of the architecture with the lowest error on test: in 10⁶, auxiliary tower left out; "
    "'as released' in 2²⁰ with the tower, as the release's logger counted for the paper's Tables 1 and 2."
)
OWN_PARAMETERS = (
    "Our parameters are those of the architecture with the lowest error on test: in 10⁶, auxiliary tower left out."
)
SEARCH_COST = "Our search cost is in days of one device, mean of the searches."
NO_REPRODUCTION = (
    "No reproduction of the paper: profile '{profile}' runs on other data or in other sizes. Rows and columns keep the "
    "paper's names only to show where the numbers stand."
)


class Attributed(Protocol):
    """The origin of a table, as its notes state it."""

    @property
    def profile(self) -> str: ...
    @property
    def reproduction(self) -> bool: ...
    @property
    def hardware(self) -> tuple[str, ...]: ...
    @property
    def data(self) -> tuple[str, ...]: ...


def notes(paper: Layout) -> tuple[str, ...]:
    """How to read one of the paper's tables, or the baselines, with our numbers in it."""
    as_released = paper.number is not None and paper.trainings == "retrain"  # the release has no ImageNet
    parameters = PARAMETERS if as_released else OWN_PARAMETERS
    method = (parameters, SEARCH_COST) if paper.row_is_method else ()
    style = (BEST_AND_MEAN,) if paper.style == "best-and-mean" else ()
    return (SOURCES, EPOCHS, DEVIATION, *style, *method, *paper.notes)


def provenance(table: Attributed) -> str:
    """Profile, data and hardware."""
    if not table.hardware:
        return f"Profile: {table.profile}. No runs of ours."
    return f"Profile: {table.profile}. Data: {', '.join(table.data)}. Hardware: {', '.join(table.hardware)}."


def warning(table: Attributed) -> str:
    """That the numbers are no reproduction; empty if they are one."""
    return "" if table.reproduction else NO_REPRODUCTION.format(profile=table.profile)
