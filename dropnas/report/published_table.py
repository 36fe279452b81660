"""From the configuration of a table of published baselines and its runs to the table: a row for each published cell.

Design choices: the order is the paper's; a row with several published cells appears once for each of them, and one
without a trainable cell keeps its quoted figures and gives the reason. What was trained must be what was published,
cell by cell; otherwise a cell that was corrected later could count as the published one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dropnas.analysis.finished_runs import Training, distinct, read_run, read_training, require_stage
from dropnas.analysis.summary import summarise
from dropnas.artifacts.counts_file import Counted
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.errors import DropnasError
from dropnas.report.config import PublishedConfig, PublishedEntry
from dropnas.report.counts import read_counts
from dropnas.report.measure import MILLION, measure
from dropnas.report.model import Cell, Line, Measurement, Row, Table
from dropnas.report.notes import EPOCHS
from dropnas.report.printed import NOTHING, Column, Layout, PrintedRow, parse_printed
from dropnas.report.quoted import behind, quoted_layout
from dropnas.space.published import published

ERRORS = ("top1_error", "top5_error")
MULTIPLY_ADDS = Column("multiply_adds", ("Multiply-adds", "(M)"), "multiply_adds")
NOT_ASKED = "not run: no training of it was asked for"
HEADS = (("Architecture", ""), ("Cell", ""))
CAPTION = (
    "The architectures that the paper quotes in its Table {number}: their published cells, trained here under one "
    "protocol, beside the quoted errors."
)
PROTOCOL = (
    "'quoted' and 'paper' are what the paper prints, from the methods' own papers and protocols; ours is the published "
    "cell ('Cell' is its id, as 'dropnas inspect' takes it) under the protocol of this profile, as all cells of ours."
)
DEVIATION = "Ours: mean ± sample deviation (n-1, shown where n > 1) over n trainings with different seeds."
COUNTING = (
    "'counted' are parameters and multiply-adds of the paper's network, whatever the profile trains: in 10⁶, auxiliary "
    "tower left out, batch norm after pooling as the profile has it."
)
EXCITATION = (
    "Squeeze-and-excitation is counted for DropNAS only, as printed; here all are trained with it, or none, as the "
    "profile has it."
)
MARKS = "The caption of the paper's Table {number}, for its marks: {caption}"


@dataclass(frozen=True)
class _Sources:
    """What a row is made of."""

    layout: Layout
    trained: dict[str, tuple[Training, ...]]
    counts: dict[tuple[str, str], Counted]
    counts_folder: Path

    def count(self, architecture: str) -> Counted:
        """Raises a DropnasError if the run has none of it."""
        try:
            return self.counts[architecture, self.layout.name]
        except KeyError as error:
            what = f"no count of {architecture!r} in the network of {self.layout.name}"
            raise DropnasError(what, where=self.counts_folder) from error


def build_published(config: PublishedConfig, inputs: Sequence[Path]) -> Table:
    """Build a table of published baselines.

    Args:
        config: which table, and which trainings belong to which published architecture.
        inputs: published runs: first the one that counts the architectures, then retrainings or transfers.

    Raises:
        DropnasError: an entry names an architecture that the table does not quote, or the same as another; an input is
            missing, damaged, of the wrong stage, or trained another cell.
    """
    if not inputs:
        raise DropnasError("no counts of the architectures among the inputs", where=config.table)
    paper = quoted_layout(config.table)
    sources = _Sources(paper, _trained(config, paper, inputs), read_counts(inputs[0]), inputs[0])
    lines = [(row, id_) for row in paper.rows for id_ in _cells(config, row)] + list(_own_lines(config, paper))
    runs = [training.run for trainings in sources.trained.values() for training in trainings]
    return Table(
        name=config.table,
        number=paper.number,
        caption=CAPTION.format(number=paper.number),
        profile=config.profile,
        reproduction=config.reproduction,
        hardware=distinct(run.device for run in runs),
        data=distinct(run.data for run in runs),
        heads=HEADS,
        columns=(*_columns(paper), MULTIPLY_ADDS),
        rows=tuple(
            replace(
                _row(sources, row, id_, index == 0 or row is not lines[index - 1][0]),
                remarks=tuple(_remarks(config, sources, row, id_)),
            )
            for index, (row, id_) in enumerate(lines)
        ),
        notes=_notes(paper),
        architectures=(),
    )


def _notes(paper: Layout) -> tuple[str, ...]:
    """How to read a table of published baselines."""
    excitation = (EXCITATION,) if paper.trainings == "transfer" else ()
    marks = MARKS.format(number=paper.number, caption=paper.caption)
    return PROTOCOL, EPOCHS, DEVIATION, COUNTING, *excitation, marks


def _cells(config: PublishedConfig, row: PrintedRow) -> tuple[str, ...]:
    """The ids of the published cells behind one of the paper's rows; an empty one where there are none."""
    found = behind(config.table)[row.key]
    return ("",) if isinstance(found, str) else found


def _own_lines(config: PublishedConfig, paper: Layout) -> Iterator[tuple[PrintedRow, str]]:
    """Rows of the user's architectures, for which the paper prints nothing."""
    for index, entry in enumerate(entry for entry in config.entries if entry.label):
        nothing = (parse_printed(NOTHING),) * len(paper.columns)
        yield PrintedRow(entry.architecture, (entry.label,), nothing, rule=index == 0), entry.architecture


def _columns(paper: Layout) -> tuple[Column, ...]:
    return tuple(column for column in paper.columns if column.quantity in (*ERRORS, "parameters"))


def _trained(config: PublishedConfig, paper: Layout, inputs: Sequence[Path]) -> dict[str, tuple[Training, ...]]:
    """The trainings of each architecture."""
    known = {id_ for found in behind(config.table).values() if not isinstance(found, str) for id_ in found}
    known |= {entry.architecture for entry in config.entries if entry.label}
    trained: dict[str, tuple[Training, ...]] = {}
    for entry in config.entries:
        where = f"{config.table}, architecture {entry.architecture!r}"
        if entry.architecture not in known:
            raise DropnasError("is not quoted by the table", where=where, remedy=f"known: {', '.join(sorted(known))}")
        if entry.architecture in trained:
            raise DropnasError("two entries for one architecture", where=where)
        for position in entry.trainings:
            if not 1 <= position < len(inputs):
                raise DropnasError(f"no training {position} among {len(inputs)} inputs", where=where)
        folders = [inputs[position] for position in entry.trainings]
        trained[entry.architecture] = tuple(_training(folder, paper, entry) for folder in folders)
    return trained


def _training(folder: Path, paper: Layout, entry: PublishedEntry) -> Training:
    training = read_training(require_stage(read_run(folder), paper.trainings))
    expected = entry.genotype if entry.label else published()[entry.architecture].genotype.values()
    if training.genotype.values() != expected:
        raise DropnasError(f"trained another cell than {entry.architecture!r}", where=GenotypeFile.file(folder))
    return training


def _row(sources: _Sources, printed: PrintedRow, architecture: str, first: bool) -> Row:
    trainings = sources.trained.get(architecture, ())
    cells = [
        Cell(number, bool(trainings), tuple(_measured(sources, column, architecture, trainings)))
        for column, number in zip(sources.layout.columns, printed.cells, strict=True)
        if column in _columns(sources.layout)
    ]
    cells.append(Cell(None, bool(trainings), tuple(_count(sources, architecture, MULTIPLY_ADDS))))
    heads = printed.heads[-1], architecture or NOTHING
    return Row(architecture or printed.key, heads, tuple(cells), printed.rule and first)


def _measured(
    sources: _Sources, column: Column, architecture: str, trainings: tuple[Training, ...]
) -> Sequence[Measurement]:
    if column.quantity == "parameters":
        return _count(sources, architecture, column)
    if not trainings:
        return []
    return measure(replace(sources.layout, style="mean"), column, (), trainings, trainings[0])


def _count(sources: _Sources, architecture: str, column: Column) -> list[Measurement]:
    """Parameters or multiply-adds in millions, of the paper's network and not of what a small profile trains."""
    if not architecture:
        return []
    counted, run = sources.count(architecture), (sources.counts_folder.name,)
    if column is MULTIPLY_ADDS:
        work = counted.multiply_adds / MILLION
        return [Measurement("multiply_adds_million", Line.COUNTED, f"{work:.1f}", summarise([work]), run)]
    weights = counted.parameters / MILLION
    return [Measurement("parameters_million", Line.COUNTED, f"{weights:.3f}", summarise([weights]), run)]


def _remarks(config: PublishedConfig, sources: _Sources, row: PrintedRow, architecture: str) -> Iterator[str]:
    """Why it was not run, how its parameters differ, and where its cell is from if not from its authors' code."""
    found = behind(config.table).get(row.key, ())
    if isinstance(found, str):
        yield found
        return
    if not sources.trained.get(architecture):
        yield NOT_ASKED
    if sources.count(architecture).remark:
        yield sources.count(architecture).remark
    form = published()[architecture].source["form"] if architecture in published() else None
    if form and form != "code":
        yield f"source of the cell: {form}"
