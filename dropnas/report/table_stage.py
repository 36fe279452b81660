"""The table and published stages: one of the paper's tables, the baselines or the published architectures, retrained.

Design choices: no torch and a fraction of a second, since tables are rebuilt often; one typed table, four files set
from it; nothing that varies between two executions of the same runs (no time, no host) reaches a file, so that
identical runs give byte-identical tables.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.analysis.finished_runs import read_run
from dropnas.report.build import build
from dropnas.report.config import TableConfig
from dropnas.report.grid import frame_of
from dropnas.report.model import Table
from dropnas.report.render_latex import latex
from dropnas.report.render_markdown import markdown
from dropnas.report.tidy import csv, data, table_file
from dropnas.workspace import Workspace


def run(config: TableConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN.md, tableN.csv and tableN.tex (Tables 1-6; `baselines.*` of the baselines).

    Args:
        config: which table, and which inputs belong to which cell.
        inputs: published runs: searches, retrainings or transfers.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: an input is missing, damaged, of the wrong stage or holds a number that is none; an entry names a
            cell that the table cannot have.
    """
    write(build(config, [read_run(folder) for folder in inputs]), out)
    workspace.progress(f"{config.table}: {len(config.entries)} cells from {len(inputs)} runs")
    return {}


def write(table: Table, out: Path) -> None:
    """Write the four files of a table."""
    content, frame = table_file(table), frame_of(table)
    content.write(out)
    for suffix, text in (("md", markdown(frame)), ("csv", csv(data(content))), ("tex", latex(frame))):
        (out / f"{table.name}.{suffix}").write_text(text, encoding="utf-8")
