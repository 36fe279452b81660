"""The fixed stage: turns a published genotype, or the user's own, into a run, so that it can be retrained.

The configuration contains the genotype, not only its id. If a published genotype is corrected, only this genotype is
retrained.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.evaluate.config import FixedConfig
from dropnas.space.genotype import Genotype
from dropnas.workspace import Workspace


def run(config: FixedConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write genotype.json.

    Raises:
        DropnasError: the configuration does not contain a valid genotype.
    """
    Genotype.of_values(config.genotype, config.architecture).write(out)
    return {}
