"""The peers of Tables 1-3: published architectures, trained under this protocol where somebody asks for them."""

from dropnas.pipeline.experiments import Experiments
from dropnas.report.config import PeerEntry, PeersConfig, PeersName
from dropnas.runs.identity import Run
from dropnas.space.published import Published, published

ROLE = {"table1_peers": "cifar10", "table2_peers": "cifar100", "table3_peers": "imagenet"}


def peers(experiments: Experiments, name: PeersName) -> Run:
    """A table of peers; its first input is the run that counts their parameters."""
    inputs = [experiments.architectures()]
    entries = []
    own = experiments.own_architectures
    for architecture in (*quoted(name), *own):
        trainings = _trainings(experiments, name, architecture)
        places = tuple(range(len(inputs), len(inputs) + len(trainings)))
        of_user = (architecture.name, architecture.genotype.values()) if architecture in own else ()
        entries.append(PeerEntry(architecture.id, places, *of_user))
        inputs += trainings
    settings = experiments.parameters
    config = PeersConfig(name, settings.profile, settings.reproduction, tuple(entries))
    return experiments.report("peers", name.replace("_", "-"), config, inputs)


def quoted(name: PeersName) -> list[Published]:
    """The published architectures that a table quotes."""
    return [one for one in published().values() if name.removesuffix("_peers") in one.paper_rows]


def _trainings(experiments: Experiments, name: PeersName, architecture: Published) -> list[Run]:
    if name == "table3_peers":
        return [experiments.peer_transfer(architecture)]
    return experiments.peer_retrainings(name, ROLE[name], architecture)
