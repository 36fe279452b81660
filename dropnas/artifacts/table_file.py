"""table.json: a table as tidy data, with one entry for each number."""

from dataclasses import dataclass
from typing import ClassVar

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class TableNumber:
    """One of our numbers with the paper's number in the same cell, or only the paper's number."""

    # row, column: keys of the cell; row_label, column_label: labels in the table
    row: str
    row_label: str
    column: str
    column_label: str
    quantity: str  # name of the quantity, including its counting convention or epoch
    source: str  # the line of the table that shows the number (`dropnas.report.table.Line`); empty if none does
    # ours: our number as shown in the table. The fields from ours_mean to ours_values are its statistics over n values
    ours: str = ""
    ours_mean: float | None = None
    ours_std: float | None = None
    ours_population_std: float | None = None
    n: int | None = None
    ours_best: float | None = None
    ours_values: tuple[float, ...] = ()
    # paper: the paper's text in this cell; paper_mean, paper_std, paper_best: the numbers in this text
    paper: str = ""
    paper_mean: float | None = None
    paper_std: float | None = None
    paper_best: float | None = None
    runs: tuple[str, ...] = ()  # folder names of the runs behind our number
    remarks: tuple[str, ...] = ()  # remarks on its row


@dataclass(frozen=True)
class TrainedArchitecture:
    """The training whose parameter count a row shows, and its genotype."""

    run: str
    genotype: GenotypeFile


@dataclass(frozen=True)
class TableFile(JsonFile):
    FILE: ClassVar[str] = "table.json"
    ASCII: ClassVar[bool] = False

    table: str  # its name
    number: int | None  # the number of the table in the paper
    caption: str
    profile: str
    reproduction: bool  # whether our numbers may be compared with the paper's
    warning: str  # empty for a reproduction
    # data, hardware: distinct data sets and device models
    data: tuple[str, ...]
    hardware: tuple[str, ...]
    notes: tuple[str, ...]  # notes on how to read the table
    row_header: str  # heading of the column that contains the row labels
    numbers: tuple[TableNumber, ...]  # row by row
    architectures: dict[str, TrainedArchitecture]  # keyed by row, for the rows that show parameter counts
