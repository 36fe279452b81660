"""The peer stage: a published architecture as a run, so that it is retrained as any other.

The configuration holds the genotype itself, not only its id: a correction of one published cell retrains that cell and
no other.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from dropnas.evaluate.config import PeerConfig
from dropnas.space.genotype import parse_genotype
from dropnas.training.metrics import write_json
from dropnas.workspace import Workspace


def run(config: PeerConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write genotype.json.

    Raises:
        DropnasError: the configuration holds no valid genotype.
    """
    genotype = parse_genotype(json.dumps(config.genotype), config.architecture)
    write_json(out / "genotype.json", genotype.to_json())
    return {}
