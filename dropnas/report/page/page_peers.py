"""The published architectures on the page: their counts, and the tables of peers from the trainings that count."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dropnas.parsing import parse
from dropnas.report.config import PeerEntry, PeersConfig
from dropnas.report.count_texts import frame as counts_frame
from dropnas.report.counts import read_counts
from dropnas.report.model import Line
from dropnas.report.page.complete import PEERS, Shortfall, asked_for
from dropnas.report.page.lines import PageTable, anchor, framed
from dropnas.report.page.numbers import Number, identity, numbers
from dropnas.report.page.planned import Content, Planned
from dropnas.report.page.survey import Found
from dropnas.report.peers_table import ERRORS, Peers, build_peers
from dropnas.report.peers_text import frame
from dropnas.report.quoted import quoted_layout

ARCHITECTURES = "architectures"
LINES = {1: Line.FINAL, 2: Line.BEST}  # the columns of a table of peers that hold errors of ours
COUNTED = (5, 6)  # those that hold counts
FROM_COUNTS = range(1, 4)  # of the table of counts, those that hold one in every line


@dataclass(frozen=True)
class PagePeers:
    """A table of peers, where its numbers come from, and what it lacks of the plan."""

    table: PageTable
    numbers: list[Number]
    shortfalls: list[Shortfall]


def page_peers(content: Content, found: Mapping[str, Found]) -> list[PagePeers]:
    """The tables of peers that somebody asked for and whose architectures are counted."""
    targets = [(name, content.target(name)) for name in content.folders]
    return [
        _complete(target, found)
        for name, target in targets
        if target.stage == PEERS and asked_for(name, content, found) and found[target.inputs[0]].counts
    ]


def page_counts(content: Content, found: Mapping[str, Found]) -> PageTable | None:
    """The counts of the published architectures; None where their run does not count."""
    one = next((one for one in found.values() if one.run.stage == ARCHITECTURES), None)
    if one is None or not one.counts:
        return None
    pool_norm: bool = parse(bool, one.run.config.get("pool_norm"), one.run.folder)
    texts = counts_frame(list(read_counts(one.folder).values()), pool_norm)
    return framed(ARCHITECTURES, texts, lambda row, column: f"run-{one.run.id}" if column in FROM_COUNTS else "")


def _complete(target: Planned, found: Mapping[str, Found]) -> PagePeers:
    """A table of peers without the trainings that do not count."""
    config: PeersConfig = parse(PeersConfig, target.config, target.folder)
    inputs = [found[id_] for id_ in target.inputs]
    kept = [index for index, one in enumerate(inputs) if one.counts]
    position = {index: place for place, index in enumerate(kept)}
    entries = [
        replace(one, trainings=tuple(position[at] for at in one.trainings if at in position)) for one in config.entries
    ]
    filled = replace(config, entries=tuple(one for one in entries if one.trainings))
    peers = build_peers(filled, [inputs[index].folder for index in kept])
    lacks = [_shortfall(config, entry, [inputs[at] for at in entry.trainings]) for entry in config.entries]
    return PagePeers(_table(config, peers), numbers(peers.table), [one for one in lacks if one.absent])


def _shortfall(config: PeersConfig, entry: PeerEntry, trainings: list[Found]) -> Shortfall:
    absent = tuple(one for one in trainings if not one.counts)
    return Shortfall(config.table, entry.architecture, "", len(trainings), len(trainings) - len(absent), absent)


def _table(config: PeersConfig, peers: Peers) -> PageTable:
    errors = next(at for at, column in enumerate(peers.table.columns) if column.quantity in ERRORS)

    def leads_to(row: int, column: int) -> str:
        cells = peers.table.rows[row].cells
        if column in LINES and cells[errors].ours:
            return anchor(peers.table, row, errors, LINES[column])
        if column in COUNTED and cells[-1].ours:
            return f"run-{identity(cells[-1].ours[0].runs[0])}"
        return ""

    return framed(config.table, frame(peers, quoted_layout(config.table)), leads_to)
