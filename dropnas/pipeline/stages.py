"""The stages: which module computes each, and the type of its configuration. No torch here: the plan reads it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from dropnas.analysis.config import ClustersConfig, CorrelationConfig, VariantConfig
from dropnas.data.config import PREPARATION, DatasetConfig
from dropnas.evaluate.config import ArchitecturesConfig, PeerConfig, RetrainConfig, SelectConfig, TransferConfig
from dropnas.extension import is_reference
from dropnas.report.config import FigureConfig, PeersConfig, TableConfig
from dropnas.runs.fingerprint import fingerprint
from dropnas.search.config import DeriveConfig, SampleConfig, SearchConfig


@dataclass(frozen=True)
class Stage:
    """One kind of run.

    Attributes:
        module: the entry module; its function `run(config, inputs, out, workspace)` computes the run.
        grouped: whether runs that differ in the seed alone may train as one group, where the configuration has
            `group_seeds`. Its module then also has `first(configs, inputs, workspaces)`, which of some runs to train
            now, and `run_group(configs, inputs, outs, workspaces)`.
        config: the type of its configuration.
        trains: whether it needs torch and a device; the others run where the workflow runs.
        reads_heavy: of which stages' runs it reads weights or images; of its other inputs it needs the light part.
    """

    module: str
    config: type
    trains: bool
    reads_heavy: tuple[str, ...] = ()
    grouped: bool = False


STAGES: dict[str, Stage] = {
    "data": Stage("dropnas.data.prepare", DatasetConfig, trains=False),
    "search": Stage("dropnas.search.stage", SearchConfig, trains=True, reads_heavy=("data",), grouped=True),
    "derive": Stage("dropnas.search.derive", DeriveConfig, trains=False),
    "sample": Stage("dropnas.search.sample", SampleConfig, trains=False),
    "peer": Stage("dropnas.evaluate.peer", PeerConfig, trains=False),
    "retrain": Stage("dropnas.evaluate.retrain", RetrainConfig, trains=True, reads_heavy=("data",)),
    "select": Stage("dropnas.evaluate.select", SelectConfig, trains=False),
    "transfer": Stage("dropnas.evaluate.transfer", TransferConfig, trains=True, reads_heavy=("data",)),
    "variant": Stage("dropnas.analysis.variant", VariantConfig, trains=False),
    "clusters": Stage("dropnas.search.feature_clusters", ClustersConfig, trains=True, reads_heavy=("data", "search")),
    "correlation": Stage("dropnas.analysis.correlation", CorrelationConfig, trains=False),
    "architectures": Stage("dropnas.evaluate.architectures", ArchitecturesConfig, trains=False),
    "table": Stage("dropnas.report.table_stage", TableConfig, trains=False),
    "peers": Stage("dropnas.report.peers_stage", PeersConfig, trains=False),
    "figure": Stage("dropnas.report.figures.figure_stage", FigureConfig, trains=False),
}


def references(config: Any) -> tuple[str, ...]:
    """The `module:ATTRIBUTE` names of code that a configuration chooses: methods, backends, and a user's own."""
    named = (vars(config), getattr(config, "options", {}), getattr(config, "code", {}))
    values = {value for each in named for value in each.values() if isinstance(value, str) and is_reference(value)}
    return tuple(sorted(values))


def code_of(stage: str, config: Any) -> str:
    """The code fingerprint of a run; of a dataset the version of its preparation."""
    if stage == "data":
        return f"preparation-{PREPARATION}"
    return fingerprint(STAGES[stage].module, references(config))


def common(config: Any) -> Any:
    """What runs of one group have in common: all but the seed. None for a run that trains by itself."""
    return replace(config, seed=0) if getattr(config, "group_seeds", False) else None


def entry(stage: str, function: str = "run") -> Callable[..., Any]:
    """A function of a stage's module, imported only now: deriving and tabulating start without torch."""
    found: Callable[..., Any] = getattr(import_module(STAGES[stage].module), function)
    return found
