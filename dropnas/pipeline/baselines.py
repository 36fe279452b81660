"""The table of baselines, an addition to the paper's tables, with a row for each search method and data set.

Design choices: the layout has rows only for the methods that a plan compares, so a new method changes no existing
table. The paper's numbers come from its Tables 1, 2 and 4, so that no number is transcribed twice.
"""

from collections.abc import Iterator, Sequence

from dropnas.config import RANDOM, Method, Parameters, Space, slug
from dropnas.data.config import ROLES
from dropnas.pipeline.experiments import DROPNAS, ONE_LEVEL_DARTS, Experiments
from dropnas.pipeline.table_experiments import TableCell
from dropnas.report.printed import Column, Layout, Printed, PrintedRow, layouts, parse_printed
from dropnas.search.methods import METHODS, SearchMethod

CAPTION = (
    "Search methods under one protocol: the same space, images, seeds, retraining and statistics for all of them. The "
    "paper's numbers are those of its Tables 1, 2 and 4, each under the protocol of its method's own paper."
)
BASELINE_COLUMNS = (
    Column("error", ("Test Error (%)", ""), "top1_error"),
    Column("improvement", ("Better than random", "(%, 95 % interval)"), "improvement"),
    Column("skips", ("Skip-connects, normal cell", ""), "skip_connects"),
    Column("params", ("Param", "(M)"), "parameters"),
    Column("days", ("Search Cost", "(device days)"), "search_days"),
)
NOTES = (
    "Random search draws one architecture for each seed and chooses none; it is retrained as often as what a search "
    "finds. 'Better than random' is (random - method) / random in test error, with Fieller's 95 % interval; below zero "
    "a method is worse. Skip-connects: mean ± sample deviation over the derived normal cells.",
)
QUOTED_ELSEWHERE = "The paper has no row for {}: 'paper' is what the method's own authors print."
RANDOM_LABEL = "random search"
ORIGINAL_SPACE = Space("original", "original")


def cells(experiments: Experiments) -> list[TableCell]:
    """The table's cells. In the user's own spaces, random search is the only baseline."""
    spaces = (ORIGINAL_SPACE, *experiments.parameters.spaces)
    return [cell for role in experiments.roles for space in spaces for cell in _cells(experiments, role, space)]


def _cells(experiments: Experiments, role: str, space: Space) -> Iterator[TableCell]:
    own = experiments.parameters
    within = f" in {space.label}" if space in own.spaces else ""
    prefix = f"{role}/{slug(space.label)}-" if within else f"{role}/"
    if RANDOM in own.baselines:
        drawn = experiments.sampled("baselines", role, space.space)
        yield TableCell(f"{prefix}{RANDOM}", "error", [], drawn, within and f"{RANDOM_LABEL}{within}")
    for method in (DROPNAS, ONE_LEVEL_DARTS, *(() if within else requested(own)), *own.methods):
        is_own = method in own.methods
        row = slug(method.label) if is_own else method.strategy
        label = f"{method.label}{within}" if within or is_own else ""
        yield TableCell(
            f"{prefix}{row}", "error", *experiments.experiment("baselines", role, method, space.space), label
        )


def layout(experiments: Experiments) -> Layout:
    """The layout for the methods that a plan compares."""
    return layout_of(experiments.roles, [method.strategy for method in requested(experiments.parameters)])


def layout_of(roles: Sequence[str], methods: Sequence[str]) -> Layout:
    """Make the layout: for each data set, a row for random search, then one row per method in the order of METHODS."""
    compared = {DROPNAS.strategy, ONE_LEVEL_DARTS.strategy, *methods}
    names = [name for name in METHODS if name in compared]
    elsewhere = ", ".join(METHODS[name].label for name in names if METHODS[name].printed)
    return Layout(
        name="baselines",
        number=None,
        caption=CAPTION,
        trainings="retrain",
        style="mean",
        decimals=2,
        open="rows",
        heads=(("Data set", ""), ("Method", "")),
        columns=BASELINE_COLUMNS,
        rows=tuple(row for role in roles for row in _rows(role, names)),
        notes=(*NOTES, QUOTED_ELSEWHERE.format(elsewhere)) if elsewhere else NOTES,
    )


def requested(parameters: Parameters) -> list[Method]:
    """The baselines in a parameter file, except random search."""
    return [Method(METHODS[name].label, name) for name in parameters.baselines if name != RANDOM]


def _rows(role: str, methods: list[str]) -> Iterator[PrintedRow]:
    """Yield the rows of a data set, with a rule above the first one."""
    yield _row(role, RANDOM, RANDOM_LABEL, {}, rule=True)
    for name in methods:
        yield _row(role, name, METHODS[name].label, _printed(role, METHODS[name]))


def _row(role: str, name: str, label: str, printed: dict[str, Printed | None], rule: bool = False) -> PrintedRow:
    heads = (ROLES[role].printed, label)
    return PrintedRow(f"{role}/{name}", heads, tuple(printed.get(column.key) for column in BASELINE_COLUMNS), rule)


def _printed(role: str, method: SearchMethod) -> dict[str, Printed | None]:
    """Return the numbers printed for a method, in the paper or by the method's authors, by column of this table."""
    if method.column:
        return {"error": _printed_row("table4", f"{role}/original").get(method.column)}
    own: dict[str, Printed | None] = {
        column: parse_printed(text) for column, text in method.printed.get(role, {}).items()
    }
    return own or _printed_row(ROLES[role].table, method.row)


def _printed_row(table: str, key: str) -> dict[str, Printed | None]:
    """Find a row in one of the paper's tables and return its cells by column; empty if there is no such row."""
    of_table = layouts()[table]
    keys = [column.key for column in of_table.columns]
    return {name: cell for row in of_table.rows if row.key == key for name, cell in zip(keys, row.cells, strict=True)}
