"""table.json: all numbers of a table, the paper's and ours, each of ours with the run folders that it comes from."""

from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class PaperNumber:
    """What the paper prints: the text, and the numbers in it."""

    text: str
    mean: float | None
    std: float | None
    best: float | None


@dataclass(frozen=True)
class Measured:
    """One quantity of ours; as `dropnas.report.model.Measurement` and its summary.

    Attributes:
        quantity: its name, with its convention or epoch.
        source: the line of its row in which it stands.
        text: as it is shown.
        n, values, mean, std, population_std, best: its statistics.
        runs: names of the run folders.
    """

    quantity: str
    source: str
    text: str
    n: int
    values: tuple[float, ...]
    mean: float
    std: float | None
    population_std: float
    best: float
    runs: tuple[str, ...]


@dataclass(frozen=True)
class TableCell:
    """The paper's number and ours, by the key of the column."""

    column: str
    paper: PaperNumber | None
    ours: tuple[Measured, ...]


@dataclass(frozen=True)
class TableRow:
    """A row, by its key."""

    row: str
    label: str
    cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class PeersRow(TableRow):
    """A row of a table of published architectures: the paper's row, the published cell if any, and remarks."""

    paper_row: str
    architecture: str | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class TableColumn:
    """A column, by its key."""

    column: str
    label: str
    quantity: str


@dataclass(frozen=True)
class TrainedArchitecture:
    """The training whose parameters a row shows, and its cells."""

    run: str
    genotype: GenotypeFile


@dataclass(frozen=True)
class TableFile(JsonFile):
    """A table; as `dropnas.report.model.Table`, with the texts that surround it.

    Attributes:
        table, number, caption: which table of the paper it is.
        profile, reproduction, warning: whose numbers ours are, and whether they may be compared with the paper's.
        data, hardware: distinct data sets and device models.
        notes: how to read it.
        row_header, columns, rows: the table itself.
        architectures: of the rows that show parameters, by row.
    """

    FILE: ClassVar[str] = "table.json"
    ASCII: ClassVar[bool] = False

    table: str
    number: int | None
    caption: str
    profile: str
    reproduction: bool
    warning: str
    data: tuple[str, ...]
    hardware: tuple[str, ...]
    notes: tuple[str, ...]
    row_header: str
    columns: tuple[TableColumn, ...]
    rows: tuple[PeersRow | TableRow, ...]
    architectures: dict[str, TrainedArchitecture]
