"""The published baselines of Tables 1 to 3, retrained under this protocol on request."""

from dropnas.pipeline.experiments import Experiments
from dropnas.report.config import TARGETS, PublishedConfig, PublishedEntry
from dropnas.report.printed import layout
from dropnas.runs.identity import Run
from dropnas.space.published import Published, published


def published_baselines(experiments: Experiments, name: str) -> Run:
    """A table of published baselines; its first input is the run that counts their parameters."""
    inputs = [experiments.architectures()]
    entries = []
    own = experiments.own_architectures
    named = experiments.parameters.published
    for architecture in (*(one for one in quoted(name) if not named or one.id in named), *own):
        trainings = _trainings(experiments, name, architecture)
        places = tuple(range(len(inputs), len(inputs) + len(trainings)))
        of_user = (architecture.name, architecture.genotype.values()) if architecture in own else ()
        entries.append(PublishedEntry(architecture.id, places, *of_user))
        inputs += trainings
    settings = experiments.parameters
    config = PublishedConfig(name, settings.profile, settings.reproduction, tuple(entries))
    return experiments.report("published", name.replace("_", "-"), config, inputs)


def quoted(name: str) -> list[Published]:
    """The published architectures that a table quotes."""
    return [one for one in published().values() if layout(name).name in one.paper_rows]


def _trainings(experiments: Experiments, name: str, architecture: Published) -> list[Run]:
    if layout(name).trainings == "transfer":
        return [experiments.published_transfer(architecture)]
    return experiments.published_retrainings(name, TARGETS[name].needs[-1], architecture)
