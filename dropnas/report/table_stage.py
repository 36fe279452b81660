"""The table stage: one of the paper's tables, or the baselines.

No torch is imported, and a table takes a fraction of a second, because tables are rebuilt often.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.analysis.finished_runs import read_run
from dropnas.report.build import build
from dropnas.report.config import TableConfig
from dropnas.workspace import Workspace


def run(config: TableConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN.md, tableN.csv and tableN.tex (Tables 1-6; `baselines.*` of the baselines).

    Raises:
        DropnasError: as for `build`, or an input has no valid receipt.
    """
    build(config, [read_run(folder) for folder in inputs]).write(out)
    workspace.progress(f"{config.table}: {len(config.entries)} cells from {len(inputs)} runs")
    return {}
