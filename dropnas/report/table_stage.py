"""The table stage: one of the paper's tables, or the baselines, and the files of every table.

Design choices: no torch and a fraction of a second, since tables are rebuilt often; one typed table, four files set
from it; nothing that varies between two executions of the same runs (no time, no host) reaches a file, so that
identical runs give byte-identical tables.
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
    content, frame = table.content, frame_of(table)
    content.write(out)
    for suffix, text in (("md", markdown(frame)), ("csv", csv(data(content))), ("tex", latex(frame))):
        (out / f"{content.table}.{suffix}").write_text(text, encoding="utf-8")
