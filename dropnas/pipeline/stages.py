"""The stages, each with its module and its configuration class. Importing this list does not import torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from dropnas.data.config import PREPARATION
from dropnas.extension import is_reference
from dropnas.runs.configurations import configuration
from dropnas.runs.fingerprint import fingerprint, refresh
from dropnas.runs.identity import identity_of


@dataclass(frozen=True)
class Stage:
    """One kind of run.

    A stage whose configuration has `group_seeds` also has `first(configs, inputs, workspaces)`, which chooses the runs
    to train now, and `run_group(configs, inputs, outs, workspaces)`.
    """

    name: str  # name of the stage
    module: str  # the entry module; its function `run(config, inputs, out, workspace)` computes the run
    does: str  # the help text of its command
    # the stages of those inputs whose weights or images it reads; of other inputs it needs only the light files
    reads_heavy: tuple[str, ...] = ()
    shared_rule: str = ""  # name of its rule in the workflow, if it is not the stage's name
    plural: bool = False  # whether the name of its command is the plural of its own name

    @property
    def trains(self) -> bool:
        """Whether the stage needs torch and a device; other stages run on the workflow's own host."""
        return bool(self.reads_heavy)

    @property
    def rule(self) -> str:
        """The workflow's rule for the stage."""
        return self.shared_rule or self.name

    @property
    def verb(self) -> str:
        """The name of the command that computes the stage."""
        return f"{self.name}s" if self.plural else self.name

    @property
    def config(self) -> Any:
        """The configuration class of the stage."""
        return configuration(self.name)


DATASET_INPUT = ("data",)
_STAGES = (
    Stage("data", "dropnas.data.prepare", "Prepare datasets.", shared_rule="prepare"),
    Stage("search", "dropnas.search.stage", "Search for cells, one run for each seed.", DATASET_INPUT),
    Stage("derive", "dropnas.search.derive", "Derive genotypes from the alphas of searches.", shared_rule="genotype"),
    Stage("sample", "dropnas.search.sample", "Draw architectures at random (random search).", shared_rule="genotype"),
    Stage("fixed", "dropnas.evaluate.fixed", "Make runs of published or own genotypes.", shared_rule="genotype"),
    Stage("retrain", "dropnas.evaluate.retrain", "Train genotypes from scratch on CIFAR.", DATASET_INPUT),
    Stage("select", "dropnas.evaluate.select", "Choose the best genotype of several seeds."),
    Stage("transfer", "dropnas.evaluate.transfer", "Train genotypes on ImageNet.", DATASET_INPUT),
    Stage("variant", "dropnas.analysis.variant", "Put another operation on an edge of a genotype (Figure 5)."),
    Stage("clusters", "dropnas.search.feature_clusters", "Cluster features (Figures 1 and 4).", ("data", "search")),
    Stage("correlation", "dropnas.analysis.correlation", "Correlate stand-alone accuracy with p (Figure 5)."),
    Stage("architectures", "dropnas.evaluate.architectures", "Count published architectures.", shared_rule="counts"),
    Stage("table", "dropnas.report.table_stage", "Build tables from finished runs.", plural=True),
    Stage("published", "dropnas.report.published_table", "Build tables of retrained baselines.", shared_rule="table"),
    Stage("figure", "dropnas.report.figures.figure_stage", "Draw figures from finished runs.", plural=True),
)
STAGES = {stage.name: stage for stage in _STAGES}


def references(config: Any) -> tuple[str, ...]:
    """The `module:ATTRIBUTE` names of code that a configuration selects: methods, backends, and the user's code."""
    named = (vars(config), getattr(config, "options", {}), getattr(config, "code", {}))
    values = {value for each in named for value in each.values() if isinstance(value, str) and is_reference(value)}
    return tuple(sorted(values))


def code_of(stage: str, config: Any) -> str:
    """The code fingerprint of a run; for a dataset, the preparation version."""
    if stage == "data":
        return f"preparation-{PREPARATION}"
    return fingerprint(STAGES[stage].module, references(config))


def identity(stage: str, config: Any, inputs: Sequence[str]) -> dict[str, Any]:
    """Compute the identity of a run from its stage, its configuration, the ids of its inputs, and the current code."""
    refresh()
    return identity_of(stage, config, inputs, code_of(stage, config))


def common(config: Any) -> Any:
    """The configuration with its seed set to 0, which the runs of a group share; None for a run that trains alone."""
    return replace(config, seed=0) if getattr(config, "group_seeds", False) else None


def entry(stage: str, function: str = "run") -> Callable[..., Any]:
    """A function of a stage's module, imported on first use, so that stages without torch start fast."""
    found: Callable[..., Any] = getattr(import_module(STAGES[stage].module), function)
    return found
