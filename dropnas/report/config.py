"""The configuration of the table stage: which runs stand behind which cell. No torch here: the plan writes it."""

from dataclasses import dataclass, field
from typing import Literal

TableName = Literal["table1", "table2", "table3", "table4", "table5", "table6"]


@dataclass(frozen=True)
class Entry:
    """One cell of a table that has runs of ours behind it.

    Attributes:
        row, column: keys of the cell, as in `printed.yaml`; a user's method has a row (or column) key of its own.
        label: what the table shows for a row or column that the paper does not have; empty for the paper's own.
        searches, trainings: positions of the runs in the table's inputs (search runs; retrain or transfer runs).
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    row: str
    column: str
    label: str = ""
    searches: tuple[int, ...] = ()
    trainings: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableConfig:
    """One table of one profile.

    Attributes:
        table: which table of the paper.
        profile: name of the parameter file's profile.
        reproduction: whether the numbers may be compared with the paper's; False for smoke, mini and other data.
        entries: the cells that have runs of ours.
        criterion: by which error the best of several seeds was chosen, as in the select stage.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    table: TableName
    profile: str
    reproduction: bool
    entries: tuple[Entry, ...] = field(default=())
    criterion: Literal["best", "final"] = "best"
