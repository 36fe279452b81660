"""Loads the network of a finished retraining or transfer with its weights, ready for use.

Design choices: the network is rebuilt from network.json and genotype.json, and the weights are read from safetensors.
Nothing in a run folder is unpickled or evaluated, so loading another person's folder runs no code from it. (If a
genotype names an operation of a user's package, that package is imported, as it was for training.)
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dropnas.artifacts.training_files import NetworkFile
from dropnas.errors import DropnasError
from dropnas.evaluate.networks import build
from dropnas.evaluate.stack import EvaluationNetwork
from dropnas.runs.authenticity import require_whole
from dropnas.space.genotype import Genotype
from dropnas.training.weights_file import load_weights


@dataclass(frozen=True)
class LoadedRun:
    """The network of a finished run, with its configuration.

    The network has the final weights. It is on the CPU and in evaluation mode; call it with normalised images
    (B, 3, H, W).
    """

    network: EvaluationNetwork
    genotype: Genotype
    shape: NetworkFile
    config: dict[str, Any]


def load(run_folder: str | Path) -> LoadedRun:
    """Load the network of a published retrain or transfer run.

    Raises:
        DropnasError: the folder holds another kind of run, a file is missing or was changed, or the weights do not fit
            the network.
    """
    folder = Path(run_folder).absolute()
    if not folder.is_dir():
        raise DropnasError("no such run folder", where=run_folder)
    record = require_whole(folder)
    return read_network(folder, record["config"])


def read_network(folder: Path, config: dict[str, Any]) -> LoadedRun:
    """Load the network from the files of a retraining or transfer, without checking them against the manifest.

    Raises:
        DropnasError: a file is missing or corrupt, or the weights do not fit the network.
    """
    shape = NetworkFile.read(folder)
    genotype = Genotype.read(folder)
    with torch.random.fork_rng(devices=[]):  # the initial weights are random and replaced immediately
        network = build(shape, genotype)
    load_weights(network, folder / "network.safetensors")
    return LoadedRun(network.eval(), genotype, shape, config)
