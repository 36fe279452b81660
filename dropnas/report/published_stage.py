"""The published stage: the published architectures of Tables 1-3, trained under this protocol beside quoted errors."""

from collections.abc import Sequence
from pathlib import Path

from dropnas.report.config import PublishedConfig
from dropnas.report.published_table import build_published
from dropnas.report.table_stage import write
from dropnas.workspace import Workspace


def run(config: PublishedConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN_published.md, .csv and .tex.

    Args:
        config: which table, and which inputs belong to which architecture.
        inputs: published runs: the counts of the architectures, then retrainings or transfers.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: as `build_published`.
    """
    write(build_published(config, inputs), out)
    workspace.progress(f"{config.table}: {len(config.entries)} architectures from {len(inputs) - 1} trainings")
    return {}
