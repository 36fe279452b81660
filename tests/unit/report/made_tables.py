"""Tables of the paper's layout with made-up measurements, without run folders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dropnas.analysis.summary import summarise
from dropnas.artifacts.table_file import TableNumber
from dropnas.pipeline.baselines import layout_of
from dropnas.report.config import TableConfig
from dropnas.report.measure import number
from dropnas.report.printed import layout
from dropnas.report.table import Line, Table, tabulate

OURS = {
    "top1_error": "top1_error_best_on_test",
    "top5_error": "top5_error_best_on_test",
    "parameters": "parameters_as_released",
    "search_days": "search_device_days",
}
Errors = Mapping[tuple[str, str], Sequence[float]]  # by row and column


def made_table(
    name: str, errors: Errors, *, reproduction: bool = True, later: float = 0.0, runs: Sequence[str] = ()
) -> Table:
    """A table with these best-on-test errors; those of the final epoch are higher by `later`."""
    paper = layout_of(("cifar10", "cifar100"), ()) if name == "baselines" else layout(name)
    if not paper.number:  # the baselines show only what was run
        paper = replace(paper, rows=tuple(row for row in paper.rows if any(place == row.key for place, _ in errors)))

    def measured(blank: TableNumber) -> list[TableNumber]:
        values = errors.get((blank.row, blank.column))
        if values is None:
            return []
        names = tuple(runs) or tuple(f"seed{seed}-train{seed}-{seed:010x}" for seed in range(len(values)))
        late = summarise([value + later for value in values])
        return [
            number(blank, "top1_error_final", Line.FINAL, "", late, names),
            number(blank, OURS[blank.quantity], Line.BEST, "(as released 4.1)", summarise(values), names),
        ]

    config = TableConfig(name, "paper" if reproduction else "smoke", reproduction)
    return tabulate(config, paper, [], measured, ())


def with_spread(mean: float, std: float, n: int) -> list[float]:
    """Values with exactly this mean and sample deviation."""
    raw = [index - (n - 1) / 2 for index in range(n)]
    scale = std / (sum(value**2 for value in raw) / (n - 1)) ** 0.5
    return [mean + scale * value for value in raw]
