"""The stages: which module computes each, and the type of its configuration. No torch here: the plan reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dropnas.data.config import PREPARATION, DatasetConfig
from dropnas.evaluate.config import RetrainConfig, SelectConfig, TransferConfig
from dropnas.extension import is_reference
from dropnas.provenance.fingerprint import fingerprint
from dropnas.report.config import TableConfig
from dropnas.search.config import DeriveConfig, SearchConfig


@dataclass(frozen=True)
class Stage:
    """One kind of run.

    Attributes:
        module: the entry module; its function `run(config, inputs, out, workspace)` computes the run.
        config: the type of its configuration.
        trains: whether it needs torch and a device; the others run where the workflow runs.
    """

    module: str
    config: type
    trains: bool


STAGES: dict[str, Stage] = {
    "data": Stage("dropnas.data.prepare", DatasetConfig, trains=False),
    "search": Stage("dropnas.search.stage", SearchConfig, trains=True),
    "derive": Stage("dropnas.search.derive", DeriveConfig, trains=False),
    "retrain": Stage("dropnas.evaluate.retrain", RetrainConfig, trains=True),
    "select": Stage("dropnas.evaluate.select", SelectConfig, trains=False),
    "transfer": Stage("dropnas.evaluate.transfer", TransferConfig, trains=True),
    "table": Stage("dropnas.report.tables", TableConfig, trains=False),
}


def references(config: Any) -> tuple[str, ...]:
    """The `module:ATTRIBUTE` names in a configuration: code of the user's that the run needs."""
    values = [*vars(config).values(), *getattr(config, "options", {}).values()]
    return tuple(value for value in values if isinstance(value, str) and is_reference(value))


def code_of(stage: str, config: Any) -> str:
    """The code fingerprint of a run; of a dataset the version of its preparation."""
    if stage == "data":
        return f"preparation-{PREPARATION}"
    return fingerprint(STAGES[stage].module, references(config))


def entry(stage: str) -> Callable[..., dict[str, float]]:
    """The function that computes a stage, imported only now: deriving and tabulating start without torch."""
    function: Callable[..., dict[str, float]] = import_module(STAGES[stage].module).run
    return function
