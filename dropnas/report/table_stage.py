"""The table stage: one of the paper's tables with our numbers beside the printed ones, or the baselines.

Design choices: no torch and a fraction of a second, since tables are rebuilt often; one typed table, four files set
from it; nothing that varies between two executions of the same runs (no time, no host) reaches a file, so that
identical runs give byte-identical tables.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.analysis.finished_runs import read_run
from dropnas.report.build import build
from dropnas.report.config import TableConfig
from dropnas.report.grid import frame
from dropnas.report.render_csv import tidy_csv
from dropnas.report.render_json import table_file
from dropnas.report.render_latex import latex
from dropnas.report.render_markdown import markdown
from dropnas.workspace import Workspace


def run(config: TableConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN.md, tableN.csv and tableN.tex (Tables 1-6; `baselines.*` of the baselines).

    Args:
        config: which table, and which inputs stand behind which cell.
        inputs: published runs: searches, retrainings or transfers.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: an input is missing, damaged, of the wrong stage or holds a number that is none; an entry names a
            cell that the table cannot have.
    """
    table = build(config, [read_run(folder) for folder in inputs])
    files = {
        f"{table.name}.md": markdown(frame(table)),
        f"{table.name}.csv": tidy_csv(table),
        f"{table.name}.tex": latex(frame(table)),
    }
    table_file(table).write(out)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    workspace.progress(f"{table.name}: {len(config.entries)} cells from {len(inputs)} runs")
    return {}
