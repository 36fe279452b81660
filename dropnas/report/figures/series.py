"""The series of a figure with their runs, the titles of its panels, and the trainings behind it.

Runs that select or compute from numbers only do not record the hardware of the trainings. The hardware and data of a
figure are therefore those of the trainings behind it, which are found through the receipts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dropnas.analysis.finished_runs import Run, distinct, read_run
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.report.config import FigureConfig

TRAINED = ("search", "retrain", "transfer", "clusters")


@dataclass(frozen=True)
class Drawn:
    """A series of the configuration with its runs.

    Attributes:
        panel, name, label: as in `dropnas.report.config.Series`.
        runs: its runs, at least one.
        reproduction: whether the paper's numbers may be shown next to them.
    """

    panel: str
    name: str
    label: str
    runs: tuple[Run, ...]
    reproduction: bool = False

    @property
    def run_names(self) -> list[str]:
        """The names of the runs' folders."""
        return [run.name for run in self.runs]


def drawn(config: FigureConfig, runs: Sequence[Run]) -> list[Drawn]:
    """The series of a figure with their runs.

    Raises:
        DropnasError: there is no series, or a series has no runs or a run that is not among the inputs.
    """
    if not config.series:
        raise DropnasError("no series to draw", where=config.figure)
    made = []
    for one in config.series:
        where = f"{config.figure}, panel {one.panel!r}, series {one.name!r}"
        if not one.runs or not all(0 <= position < len(runs) for position in one.runs):
            raise DropnasError(f"runs {list(one.runs)} of {len(runs)} inputs", where=where)
        made.append(
            Drawn(one.panel, one.name, one.label, tuple(runs[position] for position in one.runs), config.reproduction)
        )
    return made


def by_panel(series: Iterable[Drawn]) -> dict[str, list[Drawn]]:
    """The series of each panel, in the order of the panels."""
    panels: dict[str, list[Drawn]] = {}
    for one in series:
        panels.setdefault(one.panel, []).append(one)
    return panels


def titles(series: Iterable[Drawn]) -> dict[str, str]:
    """The title of each panel: the paper's data set and, if it differs, the data set used instead."""
    return {panel: _title(panel, ones) for panel, ones in by_panel(series).items()}


def _title(panel: str, series: Iterable[Drawn]) -> str:
    if panel not in ROLES:
        return panel
    paper = ROLES[panel].printed
    data = distinct(run.data for run in trainings_behind(run for one in series for run in one.runs))
    return paper if data in ((panel,), ()) else f"{', '.join(data)} as {paper}"


def trainings_behind(runs: Iterable[Run]) -> list[Run]:
    """The runs that trained or analysed a network: the given runs, or otherwise their inputs, and so on.

    Inputs that are no longer on disk are left out.
    """
    return list({run.folder: run for one in runs for run in _behind(one)}.values())


def _behind(run: Run) -> Iterator[Run]:
    if run.stage in TRAINED:
        yield run
        return
    for name in ReceiptFile.read(run.folder).inputs:
        for folder in run.folder.parent.parent.glob(f"*/{name}"):
            if ReceiptFile.file(folder).is_file():
                yield from _behind(read_run(folder))
