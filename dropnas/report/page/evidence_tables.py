"""The evidence: each number with its runs, all runs with what went into them, and their environments, as HTML tables.

Design choices: pandas sets the tables; a cell that holds links is HTML already, all other text is escaped here. What
many runs share, versions and image, is listed once as an environment that the runs name; commits are listed with their
runs, since a run of another commit counts (its identity covers its code) and a reader should see it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pandas

from dropnas.report.model import Line, Measurement, Table
from dropnas.report.page.page_tables import LINKED, anchor
from dropnas.report.page.phrases import SIGNS, count
from dropnas.report.page.survey import Found
from dropnas.report.printed import title
from dropnas.runs.authenticity import machines

COMMIT = 10  # shown digits of a commit
UNKNOWN = "not recorded"
FEW = 3  # links that stand in a cell as they are
ERROR = "_error_"  # in the name of a quantity that each run has for itself


def html_table(frame: pandas.DataFrame, classes: str = "sortable") -> str:
    """A frame whose texts are HTML."""
    with pandas.option_context("display.max_colwidth", None):
        text: str = frame.to_html(index=False, escape=False, border=0, classes=classes, na_rep="")
    return text.replace(' style="text-align: right;"', "").replace("<th>", '<th scope="col">')


def numbers(tables: Iterable[Table]) -> pandas.DataFrame:
    """Every number of ours: where it stands, how many runs it comes from, and each of these with its own value."""
    heads = ["Table", "Row", "Column", "Line", "Number", "n", "Runs"]
    return pandas.DataFrame([line for table in tables for line in _numbers(table)], columns=heads)


def _numbers(table: Table) -> Iterator[tuple[object, ...]]:
    for at, row in enumerate(table.rows):
        for place, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
            for line in LINKED:
                measured = [one for one in cell.ours if one.line is line]
                if measured:
                    where = f'<a href="#{table.name}">{title(table.name)}</a>'
                    labels = (" ".join(row.heads), " ".join(filter(None, column.header)), line.value)
                    number = escape(" ".join(one.text for one in measured))
                    name = f'<span id="{anchor(table.name, at, place, line)}">{number}</span>'
                    yield where, *map(escape, labels), name, len(measured[0].runs), _sources(measured[0])


def _sources(one: Measurement) -> str:
    """A link for each run: its own value where the number is made of one each, else the run's identity."""
    each = ERROR in one.quantity and one.line is not Line.COUNTED
    ids = [identity(name) for name in one.runs]
    texts = [f"{value:.2f}" for value in one.summary.values] if each else ids
    return " ".join(_link(id_, text) for id_, text in zip(ids, texts, strict=True))


def runs(found: Mapping[str, Found]) -> pandas.DataFrame:
    """All runs of the plan, in its order."""
    numbered = {key: number for number, key in enumerate(_environments(found.values()), 1)}
    return pandas.DataFrame([_run(one, found, numbered) for one in found.values()])


def environments(found: Mapping[str, Found]) -> pandas.DataFrame:
    """The distinct environments of the runs that count, in the order in which the runs name them."""
    heads = ["Number", "Python", "Packages", "Image", "Threads", "Devices", "Runs"]
    return pandas.DataFrame(
        [
            (
                f'<span id="environment-{number}">{number}</span>',
                *map(escape, key),
                escape("; ".join(sorted(devices))),
                total,
            )
            for number, (key, devices) in enumerate(_environments(found.values()).items(), 1)
            for total in [sum(devices.values())]
        ],
        columns=heads,
    )


def commits(found: Iterable[Found]) -> list[tuple[str, bool, int]]:
    """The commits of the runs that count, whether the checkout was changed, and how many runs; most runs first."""
    counted = Counter(_git(one.record) for one in found if one.counts)
    return [(commit, dirty, number) for (commit, dirty), number in counted.most_common()]


def commit_table(found: Iterable[Found]) -> pandas.DataFrame:
    """The commits, with the state of the checkout in words."""
    checkout = {False: "as committed", True: "changed since that commit"}
    lines = [(escape(commit), checkout[dirty], number) for commit, dirty, number in commits(found)]
    return pandas.DataFrame(lines, columns=["Commit", "Checkout", "Runs"])


def identity(folder: str) -> str:
    """The id in the name of a run's folder."""
    return folder.rpartition("-")[2]


def _run(one: Found, found: Mapping[str, Found], numbered: Mapping[Any, int]) -> dict[str, object]:
    record = one.record
    commit, dirty = _git(record) if record else ("", False)
    environment = numbered[_environment(record)] if one.counts else 0
    return {
        "Run": f'<code id="run-{one.run.id}">{escape(one.folder.name)}</code>',
        "Stage": one.run.stage,
        "State": f"{SIGNS[one.state]} {one.state}{f' ({escape(one.reason)})' if one.reason else ''}",
        "Seed": str(one.run.config.get("seed", "")),
        "Inputs": _inputs([found[id_] for id_ in one.run.inputs]),
        "Used by": ", ".join(map(title, one.run.used_by)),
        "Minutes": f"{record['seconds'] / 60:.1f}" if _is_number(record.get("seconds")) else "",
        "Ended (UTC)": escape(str(record.get("ended", "")).replace("T", " ").replace("Z", "")),
        "Device": escape(_device(record)),
        "Commit": escape(commit) + (" (changed)" if dirty else ""),
        "Environment": f'<a href="#environment-{environment}">{environment}</a>' if environment else "",
    }


def _device(record: Mapping[str, Any]) -> str:
    """Where a run was computed; all machines where it moved in its midst."""
    several = machines(record)
    moved = f"{', then '.join(several)}: the bytes are those of neither"
    return moved if several[1:] else str(record.get("device", ""))


def _inputs(inputs: Sequence[Found]) -> str:
    links = " ".join(_link(one.run.id, one.run.id) for one in inputs)
    if len(inputs) <= FEW:
        return links
    return f"<details><summary>{count(len(inputs), 'input')}</summary>{links}</details>"


def _link(id_: str, text: str) -> str:
    return f'<a href="#run-{id_}">{text}</a>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _git(record: Mapping[str, Any]) -> tuple[str, bool]:
    git = record.get("git") or {}
    return str(git.get("commit", ""))[:COMMIT] or UNKNOWN, bool(git.get("dirty", False))


def _environments(found: Iterable[Found]) -> dict[tuple[str, str, str, str], Counter[str]]:
    """How many runs each environment has, by device."""
    devices: dict[tuple[str, str, str, str], Counter[str]] = {}
    for one in found:
        if one.counts:
            devices.setdefault(_environment(one.record), Counter())[str(one.record.get("device", UNKNOWN))] += 1
    return devices


def _environment(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted((record.get("versions") or {}).items()))
    return str(record.get("python", UNKNOWN)), versions, str(record.get("image", "")), str(record.get("threads", ""))
