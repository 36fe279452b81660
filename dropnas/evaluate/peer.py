"""The peer stage: turns a published architecture into a run, so that it can be retrained like any other.

The configuration contains the genotype, not only its id. After a correction of one published cell, only that cell is
therefore retrained.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.evaluate.config import PeerConfig
from dropnas.space.genotype import Genotype
from dropnas.workspace import Workspace


def run(config: PeerConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write genotype.json.

    Raises:
        DropnasError: the configuration does not contain a valid genotype.
    """
    Genotype.of_values(config.genotype, config.architecture).write(out)
    return {}
