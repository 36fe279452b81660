"""The configurations of tables and figures: which runs stand behind what. No torch here: the plan writes them."""

from dataclasses import dataclass, field
from typing import Any, Literal

TableName = Literal["table1", "table2", "table3", "table4", "table5", "table6", "baselines"]
PeersName = Literal["table1_peers", "table2_peers", "table3_peers"]
FigureName = Literal["figure1", "figure2", "figure3", "figure4", "figure5", "courses"]


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
        table: which table of the paper; `baselines` is ours.
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
    criterion: Literal["best", "final", "held-out"] = "best"


@dataclass(frozen=True)
class PeerEntry:
    """A published architecture that was trained here.

    Attributes:
        architecture: its id in `dropnas/space/published.yaml`, or that of an architecture of the user's own.
        trainings: positions of its retrain or transfer runs in the inputs.
        label, genotype: name and cells of an architecture of the user's own; empty for a published one.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    architecture: str
    trainings: tuple[int, ...]
    label: str = ""
    genotype: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PeersConfig:
    """The peers of Table 1, 2 or 3, trained under this protocol; the first input is the `architectures` run.

    Attributes:
        table: which table.
        profile, reproduction: as in TableConfig.
        entries: the architectures, in the order of published.yaml.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    table: PeersName
    profile: str
    reproduction: bool
    entries: tuple[PeerEntry, ...]


@dataclass(frozen=True)
class Series:
    """Runs that are drawn together: a curve, a point with its deviation, or a cell.

    Attributes:
        panel: in which part of the figure: `cifar10`, `cifar100`, or an edge `0,2`.
        name: which series: a method (`dropnas`), a drop path rate (`3e-05`); empty where a panel has one only.
        label: how a legend calls it.
        runs: positions of the runs in the figure's inputs.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    panel: str
    name: str
    label: str
    runs: tuple[int, ...]


@dataclass(frozen=True)
class FigureConfig:
    """One figure of one profile.

    Attributes:
        figure: which figure of the paper; `courses` is ours.
        profile, reproduction: as in TableConfig.
        series: what is drawn, in order.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    figure: FigureName
    profile: str
    reproduction: bool
    series: tuple[Series, ...]
