"""The peers stage: the published architectures of Tables 1-3, trained under this protocol beside their quoted errors.

Design choices: no torch, as in all tables; table.json has the form of the other tables' and more in each row, so that
metrics, the text for the terminal and the page read them all the same; nothing that varies between two executions of
the same runs reaches a file.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dropnas.artifacts.table_file import PeersRow, TableFile, TableRow
from dropnas.report.config import PeersConfig
from dropnas.report.model import Row
from dropnas.report.peers_table import Peers, build_peers
from dropnas.report.peers_text import frame, notes, wide_csv
from dropnas.report.printed import NOTHING
from dropnas.report.quoted import quoted_layout
from dropnas.report.render_json import table_file
from dropnas.report.render_latex import latex
from dropnas.report.render_markdown import markdown
from dropnas.workspace import Workspace


def run(config: PeersConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN_peers.md, .csv and .tex.

    Args:
        config: which table, and which inputs stand behind which architecture.
        inputs: published runs: the counts of the architectures, then retrainings or transfers.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: as `build_peers`.
    """
    peers, paper = build_peers(config, inputs), quoted_layout(config.table)
    texts = frame(peers, paper)
    files = {
        f"{config.table}.md": markdown(texts),
        f"{config.table}.csv": wide_csv(peers),
        f"{config.table}.tex": latex(texts),
    }
    _file(replace(peers, table=replace(peers.table, notes=notes(paper)))).write(out)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    workspace.progress(f"{config.table}: {len(config.entries)} architectures from {len(inputs) - 1} trainings")
    return {}


def _file(peers: Peers) -> TableFile:
    """The form of a table, and of each row the paper's row, the published cell and the remarks."""
    content = table_file(peers.table)
    rows = zip(content.rows, peers.table.rows, strict=True)
    return replace(content, rows=tuple(_row(peers, row, shown) for row, shown in rows))


def _row(peers: Peers, row: TableRow, shown: Row) -> PeersRow:
    architecture = None if shown.heads[1] == NOTHING else shown.heads[1]
    label = " ".join(text for text in shown.heads if text != NOTHING)
    return PeersRow(row.row, label, row.cells, peers.paper_rows[shown.key], architecture, peers.remarks[shown.key])
