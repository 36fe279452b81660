"""Compares the results of two stores, as text for an 80-column terminal or as JSON."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pandas import DataFrame

from dropnas.archive.archive_file import PARAMETERS, RESULTS_FOLDER, opened
from dropnas.artifacts.verdicts_file import VerdictsFile
from dropnas.errors import DropnasError
from dropnas.report.compare_results import COMPARISON_HEADS, Other, answer, compare, protocol_lines, texts
from dropnas.report.printed import title

COMPARISON_WIDTH = 80
FORM = "  {:15} {:15} {:23} {:8} {}"
Settings = dict[str, Any] | None  # the content of a resolved parameter file; None if it is missing


def comparison(first: str, second: str, root: Path, *, as_json: bool) -> str:
    """Compare the two named sources.

    Args:
        first, second: the sources. Each is a `verdicts.json`, a folder of results, the root of a store with results, an
            archive, or a profile of the store at `root`.
        as_json: whether to return JSON.

    Raises:
        DropnasError: a source is none of the above, a store has several profiles, or a file cannot be read.
    """
    (a, ours), (b, theirs) = _read(first, root), _read(second, root)
    frame, notes = compare(a, b), protocol_lines((a.profile, b.profile), ours, theirs)
    if as_json:
        content = {"a": first, "b": second, "notes": notes, "numbers": frame.to_dict(orient="records")}
        return json.dumps(content, indent=2, allow_nan=False)
    heading = (f"A: {first}", f"B: {second}", *_wrapped(notes))
    return "\n".join([*heading, *_tables(frame), *_wrapped([answer(frame)])])


def other_store(word: str, profile: str, root: Path) -> Other:
    """Read the results that the report page of a profile shows for comparison."""
    (results, theirs), ours = _read(word, root), _settings(root / RESULTS_FOLDER / profile)
    return Other(word, results, tuple(protocol_lines((profile, results.profile), ours, theirs)))


def _read(word: str, root: Path) -> tuple[VerdictsFile, Settings]:
    path = Path(word)
    if path.suffix == ".json" and path.is_file():
        return VerdictsFile.read(path), _settings(path.parent)
    if path.is_file():
        with opened(path) as archive, TemporaryDirectory() as folder:
            archive.extract(Path(folder), (f"{RESULTS_FOLDER}/",))
            return _read_folder(Path(folder), word)
    return _read_folder(path if path.is_dir() else root / RESULTS_FOLDER / word, word)


def _read_folder(folder: Path, word: str) -> tuple[VerdictsFile, Settings]:
    """Read a folder of results, or the results of the only profile in a store."""
    found = [folder] if (folder / VerdictsFile.FILE).is_file() else []
    found = found or sorted(file.parent for file in (folder / RESULTS_FOLDER).glob(f"*/{VerdictsFile.FILE}"))
    if len(found) > 1:
        remedy = f"name one of {', '.join(map(str, found))}"
        raise DropnasError("has results of several profiles", where=word, remedy=remedy)
    if not found:
        remedy = f"name a {VerdictsFile.FILE}, a folder of results, a store, a profile or an archive"
        raise DropnasError(f"has no {VerdictsFile.FILE}", where=word, remedy=remedy)
    return VerdictsFile.read(found[0]), _settings(found[0])


def _settings(folder: Path) -> Settings:
    file = folder / PARAMETERS
    if not file.is_file():
        return None
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DropnasError(f"cannot be read as YAML ({error})", where=file) from error
    if not isinstance(values, dict):
        raise DropnasError("contains no settings", where=file)
    return values


def _wrapped(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(line, COMPARISON_WIDTH, break_on_hyphens=False)


def _tables(frame: DataFrame) -> Iterator[str]:
    """Yield each table, with two lines for each number: its label and the comparison."""
    for name, numbers in frame.groupby("table", sort=False):
        yield from ("", title(str(name)), FORM.format(*COMPARISON_HEADS).rstrip(), "-" * COMPARISON_WIDTH)
        for row in numbers.to_dict(orient="records"):
            yield from _wrapped([", ".join(filter(None, (row["row_label"], row["column_label"])))])
            yield FORM.format(*texts(row)).rstrip()
    yield ""
