"""Tables of the paper's layout with made-up measurements, without run folders."""

from collections.abc import Mapping, Sequence

from dropnas.analysis.summary import summarise
from dropnas.pipeline.baselines import layout_of
from dropnas.report.model import Cell, Line, Measurement, Row, Table
from dropnas.report.printed import Column, layout

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
    rows = tuple(
        Row(
            row.key,
            row.heads,
            tuple(
                _cell(errors.get((row.key, column.key)), printed, column, later, runs)
                for column, printed in zip(paper.columns, row.cells, strict=True)
            ),
            row.rule,
        )
        for row in paper.rows
        if paper.number or any(place == row.key for place, _ in errors)  # the baselines show what was run
    )
    profile = "paper" if reproduction else "smoke"
    return Table(
        name, paper.number, paper.caption, profile, reproduction, (), (), paper.heads, paper.columns, rows, (), ()
    )


def _cell(values: Sequence[float] | None, printed: object, column: Column, later: float, runs: Sequence[str]) -> Cell:
    if values is None:
        return Cell(printed, False, ())  # type: ignore[arg-type]
    names = tuple(runs) or tuple(f"seed{seed}-train{seed}-{seed:010x}" for seed in range(len(values)))
    best = Measurement(OURS[column.quantity], Line.BEST, "(as released 4.1)", summarise(values), names)
    final = Measurement("top1_error_final", Line.FINAL, "", summarise([value + later for value in values]), names)
    return Cell(printed, True, (final, best))  # type: ignore[arg-type]


def with_spread(mean: float, std: float, n: int) -> list[float]:
    """Values with exactly this mean and sample deviation."""
    raw = [index - (n - 1) / 2 for index in range(n)]
    scale = std / (sum(value**2 for value in raw) / (n - 1)) ** 0.5
    return [mean + scale * value for value in raw]
