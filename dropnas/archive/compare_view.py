"""A comparison of two stores: in 80 columns for the terminal, or as JSON."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from pandas import DataFrame

from dropnas.archive.result_source import PARAMETERS, RESULTS, parameters_at, read_source
from dropnas.report.compare_results import HEADS, Other, answer, compare, protocol_lines, texts
from dropnas.report.printed import title

WIDTH = 80
FORM = "  {:15} {:15} {:23} {:8} {}"


def comparison(first: str, second: str, root: Path, *, as_json: bool) -> str:
    """Compare the two named sources, which `dropnas.archive.result_source` reads."""
    a, b = read_source(first, root), read_source(second, root)
    frame = compare(a.results, b.results)
    notes = protocol_lines((a.results.profile, b.results.profile), a.parameters, b.parameters)
    if as_json:
        content = {"a": first, "b": second, "notes": notes, "numbers": frame.to_dict(orient="records")}
        return json.dumps(content, indent=2, allow_nan=False)
    return "\n".join([*_heading(first, second, notes), *_tables(frame), *_wrapped([answer(frame)])])


def other_store(word: str, profile: str, root: Path) -> Other:
    """Read the named store, whose numbers the page of a profile compares with its own."""
    found, beside = read_source(word, root), root / RESULTS / profile / PARAMETERS
    notes = protocol_lines((profile, found.results.profile), parameters_at(beside), found.parameters)
    return Other(word, found.results, tuple(notes))


def _heading(first: str, second: str, notes: Sequence[str]) -> Iterator[str]:
    yield from (f"A: {first}", f"B: {second}")
    yield from _wrapped(notes)


def _wrapped(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(line, WIDTH, break_on_hyphens=False)


def _tables(frame: DataFrame) -> Iterator[str]:
    """Yield each table: the label of each number, and below it a line with the comparison."""
    for name, numbers in frame.groupby("table", sort=False):
        yield from ("", title(str(name)), FORM.format(*HEADS).rstrip(), "-" * WIDTH)
        for row in numbers.to_dict(orient="records"):
            yield from _wrapped([", ".join(filter(None, (row["row_label"], row["column_label"])))])
            yield FORM.format(*texts(row)).rstrip()
    yield ""
