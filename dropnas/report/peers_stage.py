"""The peers stage: the published architectures of Tables 1-3, trained under this protocol beside quoted errors."""

from collections.abc import Sequence
from pathlib import Path

from dropnas.report.config import PeersConfig
from dropnas.report.peers_table import build_peers
from dropnas.report.table_stage import write
from dropnas.workspace import Workspace


def run(config: PeersConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write table.json, tableN_peers.md, .csv and .tex.

    Args:
        config: which table, and which inputs belong to which architecture.
        inputs: published runs: the counts of the architectures, then retrainings or transfers.
        out: the folder to fill.
        workspace: receives a line of progress.

    Raises:
        DropnasError: as `build_peers`.
    """
    write(build_peers(config, inputs), out)
    workspace.progress(f"{config.table}: {len(config.entries)} architectures from {len(inputs) - 1} trainings")
    return {}
