"""A run's name is its identity: a hash over exactly what can change its result.

The configuration enters without the fields that are at their default, so that a new option changes no old identity,
and without those marked as not hashed (where a source lies). Versions, device and image are recorded, not hashed.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

ID_DIGITS = 10


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def id_of(identity: dict[str, Any]) -> str:
    """The first hex digits of an identity's sha256."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:ID_DIGITS]


def resolved(config: Any, *, hashed_only: bool = False) -> dict[str, Any]:
    """All fields of a stage's configuration as JSON values; with `hashed_only` those that enter the identity."""
    chosen = [field for field in dataclasses.fields(config) if not hashed_only or _is_hashed(config, field)]
    return {field.name: _plain(getattr(config, field.name), hashed_only) for field in chosen}


def _is_hashed(config: Any, field: "dataclasses.Field[Any]") -> bool:
    if field.metadata.get("json_schema_extra", {}).get("hashed") is False:
        return False
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return bool(getattr(config, field.name) != default)


def _plain(value: Any, hashed_only: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return resolved(value, hashed_only=hashed_only)
    if isinstance(value, list | tuple):
        return [_plain(item, hashed_only) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, hashed_only) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Run:
    """Something that is computed once: a stage with its configuration, its inputs and its code.

    Attributes:
        stage: data, search, derive, retrain, select, transfer or table.
        name: readable, a function of configuration and inputs alone.
        config: the stage's typed configuration.
        inputs: the runs that it reads, in order.
        code: the code fingerprint of the stage.
    """

    stage: str
    name: str
    config: Any
    inputs: tuple["Run", ...]
    code: str

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Exactly what can change the run's result."""
        return {
            "stage": self.stage,
            "config": resolved(self.config, hashed_only=True),
            "inputs": [run.id for run in self.inputs],
            "code": self.code,
            "numerics": getattr(self.config, "numerics", getattr(self.config, "precision", "exact")),
        }

    @cached_property
    def id(self) -> str:
        """The first hex digits of the identity's sha256."""
        return id_of(self.identity)

    @cached_property
    def folder(self) -> PurePosixPath:
        """Where the run lies, relative to the store's root. A dataset lies under `data/`, tracked apart from runs."""
        parent = PurePosixPath("data", self.config.name) if self.stage == "data" else PurePosixPath("runs", self.stage)
        return parent / f"{self.name}-{self.id}"

    @property
    def receipt(self) -> PurePosixPath:
        """The only file of the run that the workflow knows of."""
        return self.folder / "run.json"
