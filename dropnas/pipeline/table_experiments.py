"""The experiments behind the cells of the paper's tables."""

from dataclasses import dataclass

from dropnas.config import Parameters, Space, slug
from dropnas.data.config import ROLES, SEARCHED
from dropnas.pipeline.experiments import ABLATIONS, DROPNAS, ONE_LEVEL_DARTS, Experiments, at_rates
from dropnas.runs.identity import Run


@dataclass(frozen=True)
class TableCell:
    """A cell of a table and the runs behind it."""

    row: str
    column: str
    searches: list[Run]
    trainings: list[Run]
    label: str = ""


def _best_rows(experiments: Experiments, role: str) -> list[TableCell]:
    """Tables 1 and 2: all seeds of a method, and its best architecture under the augmented protocol."""
    cells = []
    for method in (DROPNAS, *experiments.parameters.methods):
        row, label = ("dropnas", "") if method is DROPNAS else (slug(method.label), method.label)
        searches, retrainings = experiments.experiment(ROLES[role].table, role, method)
        cells.append(TableCell(row, "error", searches, retrainings, label))
        if experiments.parameters.best_of_seeds:
            augmented = experiments.augmented(role, method)
            cells.append(
                TableCell(f"{row}-augmented", "error", searches, [augmented], label and f"{label} (Augmented)")
            )
    return cells


def table1(experiments: Experiments) -> list[TableCell]:
    """Table 1: CIFAR-10."""
    return _best_rows(experiments, "cifar10")


def table2(experiments: Experiments) -> list[TableCell]:
    """Table 2: CIFAR-100."""
    return _best_rows(experiments, "cifar100")


def table3(experiments: Experiments) -> list[TableCell]:
    """Transfer to ImageNet of the best architectures found on CIFAR-10 and CIFAR-100."""
    cells = []
    for method in (DROPNAS, *experiments.parameters.methods):
        for role in SEARCHED:
            row = f"{slug(method.label)}-{role}"
            label = "" if method is DROPNAS else f"{method.label} ({ROLES[role].printed})"
            searches, _ = experiments.experiment(ROLES[role].table, role, method)
            cells.append(TableCell(row, "error", searches, [experiments.transfer(role, method)], label))
    return cells


def table4(experiments: Experiments) -> list[TableCell]:
    """DropNAS and one-level DARTS in each search space."""
    own = experiments.parameters
    cells = []
    for role in experiments.roles:
        for space in (*paper_spaces(own), *own.spaces):
            for method in (DROPNAS, ONE_LEVEL_DARTS, *own.methods):
                label = " / ".join(item.label for item in (space, method) if item in (*own.spaces, *own.methods))
                row, column = f"{role}/{slug(space.label)}", slug(method.label)
                cells.append(
                    TableCell(row, column, *experiments.experiment("table4", role, method, space.space), label)
                )
    return cells


def table5(experiments: Experiments) -> list[TableCell]:
    """Different drop path rates for the two groups: rows O_np, columns O_p."""
    rates = experiments.parameters.group_rates
    return [
        TableCell(
            f"{row:.0e}".replace("e-0", "e-"),
            f"{column:.0e}".replace("e-0", "e-"),
            *experiments.experiment("table5", "cifar10", at_rates(column, row)),
        )
        for row in rates
        for column in rates
    ]


def table6(experiments: Experiments) -> list[TableCell]:
    """DropNAS, its ablations and the user's methods on both data sets."""
    own = experiments.parameters.methods
    return [
        TableCell(
            role,
            slug(method.label),
            *experiments.experiment("table6", role, method),
            method.label if method in own else "",
        )
        for role in SEARCHED
        for method in (DROPNAS, *ABLATIONS, *own)
    ]


def paper_spaces(parameters: Parameters) -> list[Space]:
    """The paper's search spaces that a parameter file requests."""
    return [Space(name, name) for name in parameters.paper_spaces]
