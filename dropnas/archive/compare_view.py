"""A comparison of two stores: in 80 columns for the terminal, or as JSON."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from dropnas.archive.result_source import read_source
from dropnas.report.compare_results import Outcome, compare, protocol_lines
from dropnas.report.printed import title
from dropnas.report.verdicts import p_text

WIDTH = 80
HEADS = ("A: mean (n)", "B: mean (n)", "A - B [95 %]", "p", "")
FORM = "  {:15} {:15} {:23} {:8} {}"
DECIMALS = 2


def comparison(first: str, second: str, root: Path, *, as_json: bool) -> str:
    """Compare the two named sources, which `dropnas.archive.result_source` reads."""
    a, b = read_source(first, root), read_source(second, root)
    frame = compare(a.results, b.results)
    notes = protocol_lines((a.results.profile, b.results.profile), a.parameters, b.parameters)
    if as_json:
        content = {"a": first, "b": second, "notes": notes, "numbers": frame.to_dict(orient="records")}
        return json.dumps(content, indent=2, allow_nan=False)
    return "\n".join([*_heading(first, second, notes), *_tables(frame), *_wrapped([_answer(frame)])])


def _heading(first: str, second: str, notes: Sequence[str]) -> Iterator[str]:
    yield from (f"A: {first}", f"B: {second}")
    yield from _wrapped(notes)


def _wrapped(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(line, WIDTH, break_on_hyphens=False)


def _answer(frame: DataFrame) -> str:
    differ, tested = (frame["outcome"] == Outcome.DIFFERS).sum(), frame["p"].notna().sum()
    apart = len(frame) - tested
    rest = f" {apart} more {'is' if apart == 1 else 'are'} not tested." if apart else ""
    return (
        f"{differ} of {tested} tested numbers {'differs' if differ == 1 else 'differ'}: Welch's test of the means, "
        f"5 % in all after Holm's correction.{rest}"
    )


def _tables(frame: DataFrame) -> Iterator[str]:
    """Yield each table: the label of each number, and below it a line with the comparison."""
    for name, numbers in frame.groupby("table", sort=False):
        yield from ("", title(str(name)), FORM.format(*HEADS).rstrip(), "-" * WIDTH)
        for row in numbers.to_dict(orient="records"):
            yield from _wrapped([", ".join(filter(None, (row["row_label"], row["column_label"])))])
            yield FORM.format(*_cells({str(key): value for key, value in row.items()})).rstrip()
    yield ""


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    interval = "" if row["low"] is None else f" [{row['low']:+.{DECIMALS}f}, {row['high']:+.{DECIMALS}f}]"
    found = "" if row["difference"] is None else f"{row['difference']:+.{DECIMALS}f}{interval}"
    p = "" if row["p"] is None else p_text(row["p"]).removeprefix("p ").removeprefix("= ")
    return (_mean(row, "a"), _mean(row, "b"), found, p, row["outcome"])


def _mean(row: dict[str, Any], side: str) -> str:
    if row[f"mean_{side}"] is None:
        return ""
    spread = "" if row[f"std_{side}"] is None else f"±{row[f'std_{side}']:.{DECIMALS}f}"
    return f"{row[f'mean_{side}']:.{DECIMALS}f}{spread} ({row[f'n_{side}']})"
