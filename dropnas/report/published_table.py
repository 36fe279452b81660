"""The published stage: the published baselines of Tables 1 to 3, trained under this protocol, and the quoted errors.

Design choices: the rows are in the paper's order. A row with several published genotypes appears once for each of them;
a row without a trainable genotype keeps its quoted numbers and gives the reason. Each trained genotype must equal the
published one. If a genotype in `published.yaml` is corrected, earlier trainings of it are therefore rejected.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dropnas.analysis.finished_runs import Training, read_run, read_training, require_stage
from dropnas.analysis.summary import summarise
from dropnas.artifacts.counts_file import Counted, CountsFile
from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.artifacts.table_file import TableNumber
from dropnas.errors import DropnasError
from dropnas.report.config import ARCHITECTURES, PublishedConfig, PublishedEntry
from dropnas.report.frame import wording
from dropnas.report.measure import MILLION, CellRuns, measure, number
from dropnas.report.printed import NOTHING, Column, Layout, Printed, PrintedRow, behind, layout
from dropnas.report.table import Line, Table, tabulate
from dropnas.space.published import published
from dropnas.workspace import Workspace

KEPT_QUANTITIES = ("top1_error", "top5_error", "parameters")  # quantities of the paper's columns that are kept
MULTIPLY_ADDS = Column("multiply_adds", ("Multiply-adds", "(M)"), "multiply_adds")
NOT_ASKED = "not run: its training was not requested"
ARCHITECTURE_HEADS = (("Architecture", ""), ("Cell", ""))
Counts = Mapping[tuple[str, str], Counted]  # by architecture and table
Trained = Mapping[str, Sequence[Training]]  # by architecture


def run(config: PublishedConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write the table of `build_published` as table.json, Markdown, CSV and LaTeX."""
    build_published(config, inputs).write(out)
    workspace.progress(f"{config.table}: {len(config.entries)} architectures from {len(inputs) - 1} trainings")
    return {}


def build_published(config: PublishedConfig, inputs: Sequence[Path]) -> Table:
    """Build a table of published baselines.

    Args:
        inputs: the `architectures` run with the counts, followed by the retrainings or transfers.

    Raises:
        DropnasError: an entry names an architecture that the table does not quote, or an input is damaged, has the
            wrong stage, or is a training of another genotype.
    """
    paper, counts = layout(config.table), read_counts(inputs[0])
    shown = _layout(config, paper)
    cells = {row.key for row in shown.rows if row.heads[-1] != NOTHING}
    entries = {one.architecture: one for one in config.entries if one.trainings}
    if strange := sorted(entries.keys() - cells):
        raise DropnasError(f"does not quote {strange[0]}", where=config.table)
    trained = {id_: [_training(inputs[at], paper, one) for at in one.trainings] for id_, one in entries.items()}

    def counted(id_: str) -> Counted:
        if (id_, paper.name) not in counts:
            raise DropnasError(f"no count of {id_!r} in the network of {paper.name}", where=inputs[0])
        return counts[id_, paper.name]

    def measured(blank: TableNumber) -> list[TableNumber]:
        if blank.row in cells and blank.quantity in ("parameters", "multiply_adds"):
            return [_count(blank, counted(blank.row), inputs[0].name)]
        trainings = trained.get(blank.row, ())
        return measure(shown, blank, CellRuns((), trainings, trainings[0])) if trainings else []

    remarks = {
        row.key: [*_remarks(row.key, trained, counted(row.key))]
        if row.key in cells
        else [str(behind(config.table)[row.key])]
        for row in shown.rows
    }
    runs = [training.run for trainings in trained.values() for training in trainings]
    return tabulate(config, shown, runs, measured, _notes(paper), remarks=remarks)


def read_counts(folder: Path) -> Counts:
    """Read the counts of an `architectures` run. Raises a DropnasError if the run is damaged or has another stage."""
    if ReceiptFile.read(folder).stage != ARCHITECTURES:
        raise DropnasError(f"is not the receipt of an {ARCHITECTURES} run", where=ReceiptFile.file(folder))
    return {(one.architecture, one.table): one for one in CountsFile.read(folder).counts}


def _notes(paper: Layout) -> tuple[str, ...]:
    """The notes on how to read a table of published baselines."""
    excitation = ("excitation",) if paper.trainings == "transfer" else ()
    shown = ("protocol", "epochs", "deviation", "counting", *excitation)
    marks = wording("published")["marks"].format(number=paper.number, caption=paper.caption)
    return (*(wording("published")[name] for name in shown), marks)


def _layout(config: PublishedConfig, paper: Layout) -> Layout:
    """The layout, with one row for each published genotype, followed by one row for each architecture of the user."""
    kept = [at for at, column in enumerate(paper.columns) if column.quantity in KEPT_QUANTITIES]
    rows = []
    for row in paper.rows:
        ids, numbers = behind(config.table)[row.key], (*(row.cells[at] for at in kept), None)
        for index, id_ in enumerate((NOTHING,) if isinstance(ids, str) else ids):
            heads, key = (row.heads[-1], id_), row.key if id_ == NOTHING else id_
            rows.append(PrintedRow(key, heads, numbers, row.rule and index == 0))
    nothing = (*(Printed(NOTHING) for _ in kept), None)  # the paper prints no numbers for the user's architectures
    for index, entry in enumerate(entry for entry in config.entries if entry.label):
        rows.append(PrintedRow(entry.architecture, (entry.label, entry.architecture), nothing, rule=index == 0))
    columns = (*(paper.columns[at] for at in kept), MULTIPLY_ADDS)
    caption = wording("published")["caption"].format(number=paper.number)
    return replace(
        paper, caption=caption, style="mean", heads=ARCHITECTURE_HEADS, columns=columns, rows=tuple(rows), notes=()
    )


def _training(folder: Path, paper: Layout, entry: PublishedEntry) -> Training:
    training = read_training(require_stage(read_run(folder), paper.trainings))
    expected = entry.genotype if entry.label else published()[entry.architecture].genotype.values()
    if training.genotype.values() != expected:
        raise DropnasError(f"trained another cell than {entry.architecture!r}", where=GenotypeFile.file(folder))
    return training


def _count(blank: TableNumber, counted: Counted, run: str) -> TableNumber:
    """Parameters or multiply-adds of an architecture in the network of the paper's table, in millions."""
    work = blank.quantity == "multiply_adds"
    value = (counted.multiply_adds if work else counted.parameters) / MILLION
    text = f"{value:.1f}" if work else f"{value:.3f}"
    return number(blank, f"{blank.quantity}_million", Line.COUNTED, text, summarise([value]), [run])


def _remarks(id_: str, trained: Trained, counted: Counted) -> Iterator[str]:
    """Why an architecture was not trained, how its parameters differ from the printed number, and its source.

    The source is left out if it is the authors' code.
    """
    if id_ not in trained:
        yield NOT_ASKED
    if counted.remark:
        yield counted.remark
    form = published()[id_].source["form"] if id_ in published() else None
    if form and form != "code":
        yield f"source of the cell: {form}"
