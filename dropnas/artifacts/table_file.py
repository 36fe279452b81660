"""table.json: a table as tidy data, one entry for each number, each of ours with the runs that it comes from."""

from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class TableNumber:
    """One number: a quantity of ours in a cell with what the paper prints there, or a printed number alone.

    Attributes:
        row, column: keys of the cell; row_label, column_label: as the table shows them.
        quantity: what it is, with its convention or epoch.
        source: the line of its row in which it stands, as `dropnas.report.table.Line`; empty where there is nothing.
        ours: as it is shown; ours_mean to ours_values: its statistics; n: how many values they come from.
        paper: what the paper prints; paper_mean, paper_std, paper_best: the numbers in it.
        runs: names of the run folders that it comes from.
        remarks: what there is to say of its row.
    """

    row: str
    row_label: str
    column: str
    column_label: str
    quantity: str
    source: str
    ours: str = ""
    ours_mean: float | None = None
    ours_std: float | None = None
    ours_population_std: float | None = None
    n: int | None = None
    ours_best: float | None = None
    ours_values: tuple[float, ...] = ()
    paper: str = ""
    paper_mean: float | None = None
    paper_std: float | None = None
    paper_best: float | None = None
    runs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedArchitecture:
    """The training whose parameters a row shows, and its cells."""

    run: str
    genotype: GenotypeFile


@dataclass(frozen=True)
class TableFile(JsonFile):
    """A table.

    Attributes:
        table, number, caption: which table of the paper it is.
        profile, reproduction, warning: the profile of our numbers, and whether they may be compared with the paper's.
        data, hardware: distinct data sets and device models.
        notes: how to read it.
        row_header: the header above the labels of its rows.
        numbers: the table itself, row by row.
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
    numbers: tuple[TableNumber, ...]
    architectures: dict[str, TrainedArchitecture]
