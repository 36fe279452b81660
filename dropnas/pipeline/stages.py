"""The stages: the module and the configuration class of each. The plan imports them without torch."""

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

    Attributes:
        name: name of the stage.
        module: the entry module; its function `run(config, inputs, out, workspace)` computes the run.
        trains: whether it needs torch and a device; other stages run where the workflow runs.
        reads_heavy: stages of the inputs whose weights or images it reads; of other inputs, only the light part is
            read.
        grouped: whether runs that differ only in the seed can train as one group, if the configuration sets
            `group_seeds`. The module then also has `first(configs, inputs, workspaces)`, which chooses the runs to
            train now, and `run_group(configs, inputs, outs, workspaces)`.
        shared_rule: the workflow's rule for it, if the rule does not have the name of the stage.
        plural: whether its command-line verb is the plural of its name.
    """

    name: str
    module: str
    trains: bool
    reads_heavy: tuple[str, ...] = ()
    grouped: bool = False
    shared_rule: str = ""
    plural: bool = False

    @property
    def rule(self) -> str:
        """The workflow's rule for the stage."""
        return self.shared_rule or self.name

    @property
    def verb(self) -> str:
        """The verb on the command line that computes the stage."""
        return f"{self.name}s" if self.plural else self.name

    @property
    def config(self) -> Any:
        """The configuration class of the stage."""
        return configuration(self.name)


STAGES: dict[str, Stage] = {
    "data": Stage("data", "dropnas.data.prepare", trains=False, shared_rule="prepare"),
    "search": Stage("search", "dropnas.search.stage", trains=True, reads_heavy=("data",), grouped=True),
    "derive": Stage("derive", "dropnas.search.derive", trains=False, shared_rule="genotype"),
    "sample": Stage("sample", "dropnas.search.sample", trains=False, shared_rule="genotype"),
    "fixed": Stage("fixed", "dropnas.evaluate.fixed", trains=False, shared_rule="genotype"),
    "retrain": Stage("retrain", "dropnas.evaluate.retrain", trains=True, reads_heavy=("data",)),
    "select": Stage("select", "dropnas.evaluate.select", trains=False),
    "transfer": Stage("transfer", "dropnas.evaluate.transfer", trains=True, reads_heavy=("data",)),
    "variant": Stage("variant", "dropnas.analysis.variant", trains=False),
    "clusters": Stage("clusters", "dropnas.search.feature_clusters", trains=True, reads_heavy=("data", "search")),
    "correlation": Stage("correlation", "dropnas.analysis.correlation", trains=False),
    "architectures": Stage("architectures", "dropnas.evaluate.architectures", trains=False, shared_rule="counts"),
    "table": Stage("table", "dropnas.report.table_stage", trains=False, plural=True),
    "published": Stage("published", "dropnas.report.published_table", trains=False, shared_rule="table"),
    "figure": Stage("figure", "dropnas.report.figures.figure_stage", trains=False, plural=True),
}


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
    """The identity of a run with the current code, this configuration and the inputs with these ids."""
    refresh()
    return identity_of(stage, config, inputs, code_of(stage, config))


def common(config: Any) -> Any:
    """The common part of the runs of a group: everything but the seed. None for a run that trains alone."""
    return replace(config, seed=0) if getattr(config, "group_seeds", False) else None


def entry(stage: str, function: str = "run") -> Callable[..., Any]:
    """A function of a stage's module, imported on first use, so that stages without torch start fast."""
    found: Callable[..., Any] = getattr(import_module(STAGES[stage].module), function)
    return found
