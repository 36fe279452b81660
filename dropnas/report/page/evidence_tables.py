"""The evidence: each number with its runs, and all runs with their configurations, commits and environments.

Design choices: cells with links are Markup, which only columns of type object keep; other text is escaped later. Values
that many runs share (versions, image) are listed once, as an environment that the runs refer to. Commits are listed
with their runs: a run of another commit counts, because its identity covers its code, but a reader should see it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from dropnas.artifacts.table_file import TableNumber
from dropnas.report.page.phrases import SIGNS, count
from dropnas.report.page.survey import Found
from dropnas.report.page.tables import LINKED, anchor
from dropnas.report.printed import title
from dropnas.report.table import Line, Table
from dropnas.runs.authenticity import machines

COMMIT = 10  # displayed digits of a commit
UNKNOWN = "not recorded"
FEW = 3  # up to this number, links are shown without a summary
ERROR = "_error_"  # part of the name of a quantity that each run has
CHECKOUT = {False: "as committed", True: "changed since that commit"}
Environment = tuple[str, str, str, str]  # Python, packages, image, threads


def link(anchor: str, text: str) -> Markup:
    """A link within the page."""
    return Markup('<a href="#{}">{}</a>').format(anchor, text)


def numbers(tables: Iterable[Table]) -> DataFrame:
    """Each of our numbers: its cell, the number of its runs, and each run with its own value."""
    heads = ["Table", "Row", "Column", "Line", "Number", "n", "Runs"]
    return DataFrame([line for table in tables for line in _numbers(table)], columns=heads, dtype=object)


def _numbers(table: Table) -> Iterator[tuple[object, ...]]:
    name = table.content.table
    for key, ours in table.cells.items():
        for line in LINKED:
            measured = [one for one in ours.values() if one.source == line]
            if measured:
                first, text = measured[0], " ".join(one.ours for one in measured)
                number = Markup('<span id="{}">{}</span>').format(anchor(name, *key, line), text)
                where = (link(name, title(name)), first.row_label, first.column_label, line.value)
                yield *where, number, len(first.runs), _sources(first)


def _sources(one: TableNumber) -> Markup:
    """A link for each run: its value if the number combines one value of each run, otherwise its identity."""
    each = ERROR in one.quantity and one.source != Line.COUNTED
    ids = [identity(name) for name in one.runs]
    texts = [f"{value:.2f}" for value in one.ours_values] if each else ids
    return Markup(" ").join(link(f"run-{id_}", text) for id_, text in zip(ids, texts, strict=True))


def runs(found: Mapping[str, Found]) -> DataFrame:
    """All runs of the plan, in its order."""
    numbered = {key: number for number, key in enumerate(_environments(found.values()), 1)}
    return DataFrame([_run(one, found, numbered) for one in found.values()], dtype=object)


def environments(found: Iterable[Found]) -> DataFrame:
    """The distinct environments of the runs that count, in the order in which the runs name them."""
    heads = ["Number", "Python", "Packages", "Image", "Threads", "Devices", "Runs"]
    lines = [
        (Markup('<span id="environment-{0}">{0}</span>').format(number), *key, "; ".join(sorted(devices)), total)
        for number, (key, devices) in enumerate(_environments(found).items(), 1)
        for total in [sum(devices.values())]
    ]
    return DataFrame(lines, columns=heads, dtype=object)


def commits(found: Iterable[Found]) -> DataFrame:
    """The commits of the runs that count, the state of the checkout, and how many runs; most runs first."""
    counted = Counter(_git(one.record) for one in found if one.counts).most_common()
    lines = [(commit, CHECKOUT[dirty], number) for (commit, dirty), number in counted]
    return DataFrame(lines, columns=["Commit", "Checkout", "Runs"])


def identity(folder: str) -> str:
    """The id in the name of a run's folder."""
    return folder.rpartition("-")[2]


def _run(one: Found, found: Mapping[str, Found], numbered: Mapping[Environment, int]) -> dict[str, object]:
    record = one.record
    commit, dirty = _git(record) if record else ("", False)
    environment = numbered[_environment(record)] if one.counts else 0
    return {
        "Run": Markup('<code id="run-{}">{}</code>').format(one.run.id, one.folder.name),
        "Stage": one.run.stage,
        "State": f"{SIGNS[one.state]} {one.state}{f' ({one.reason})' if one.reason else ''}",
        "Seed": str(one.run.config.get("seed", "")),
        "Inputs": _inputs([found[id_] for id_ in one.run.inputs]),
        "Used by": ", ".join(map(title, one.run.used_by)),
        "Minutes": f"{record['seconds'] / 60:.1f}" if isinstance(record.get("seconds"), int | float) else "",
        "Ended (UTC)": str(record.get("ended", "")).replace("T", " ").replace("Z", ""),
        "Device": _device(record),
        "Commit": commit + (" (changed)" if dirty else ""),
        "Environment": link(f"environment-{environment}", str(environment)) if environment else "",
    }


def _device(record: Mapping[str, Any]) -> str:
    """The machine that computed a run; all of them if the run moved."""
    several = machines(record)
    moved = f"{', then '.join(several)}: the bytes are those of neither"
    return moved if several[1:] else str(record.get("device", ""))


def _inputs(inputs: Sequence[Found]) -> Markup:
    links = Markup(" ").join(link(f"run-{one.run.id}", one.run.id) for one in inputs)
    folded = Markup("<details><summary>{}</summary>{}</details>").format(count(len(inputs), "input"), links)
    return links if len(inputs) <= FEW else folded


def _git(record: Mapping[str, Any]) -> tuple[str, bool]:
    git = record.get("git") or {}
    return str(git.get("commit", ""))[:COMMIT] or UNKNOWN, bool(git.get("dirty", False))


def _environments(found: Iterable[Found]) -> dict[Environment, Counter[str]]:
    """The number of runs of each environment, by device."""
    devices: dict[Environment, Counter[str]] = {}
    for one in found:
        if one.counts:
            devices.setdefault(_environment(one.record), Counter())[str(one.record.get("device", UNKNOWN))] += 1
    return devices


def _environment(record: Mapping[str, Any]) -> Environment:
    versions = ", ".join(f"{name} {version}" for name, version in sorted((record.get("versions") or {}).items()))
    return str(record.get("python", UNKNOWN)), versions, str(record.get("image", "")), str(record.get("threads", ""))
