"""The table stage: one of the paper's tables, or the baselines, and the files of every table.

Design choices: no torch is imported, and a table takes a fraction of a second, because tables are rebuilt often. One
typed table is rendered as four files. No file has anything that differs between two executions of the same runs (time,
host), so identical runs give byte-identical tables.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.analysis.finished_runs import read_run
from dropnas.report.build import build
from dropnas.report.config import TableConfig
from dropnas.report.render_latex import latex
from dropnas.report.render_markdown import markdown
from dropnas.report.table import Table
from dropnas.report.table_forms import csv, data, frame_of
from dropnas.workspace import Workspace


def run(config: TableConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN.md, tableN.csv and tableN.tex (Tables 1-6; `baselines.*` of the baselines).

    Args:
        config: configuration of the table, with the inputs of each cell.
        inputs: published runs: searches, retrainings or transfers.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: an input is missing, damaged, of the wrong stage or has an invalid number; an entry names a cell
            that the table cannot have.
    """
    write(build(config, [read_run(folder) for folder in inputs]), out)
    workspace.progress(f"{config.table}: {len(config.entries)} cells from {len(inputs)} runs")
    return {}


def write(table: Table, out: Path) -> None:
    """Write the four files of a table."""
    content, frame = table.content, frame_of(table)
    content.write(out)
    for suffix, text in (("md", markdown(frame)), ("csv", csv(data(content))), ("tex", latex(frame))):
        (out / f"{content.table}.{suffix}").write_text(text, encoding="utf-8")
