"""A run's name is its identity: a hash over exactly what can change its result.

The configuration enters without the options whose value is the default on record (`defaults.yaml`), so that a new
option changes no old identity and a changed default changes those of all runs that rely on it; without those marked as
not hashed (where a source lies); and with the values that its properties find for it, such as the options behind a
preset's name. Versions, device and image are recorded, not hashed.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from types import FunctionType, MethodType
from typing import Any

import yaml

from dropnas.errors import DropnasError

ID_DIGITS = 10
DEFAULTS = Path(__file__).with_name("defaults.yaml")
APART = {"code", "numerics"}  # properties of a configuration that are separate parts of an identity


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def id_of(identity: dict[str, Any]) -> str:
    """The first hex digits of an identity's sha256."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:ID_DIGITS]


def identity_of(stage: str, config: Any, inputs: Sequence[str], code: str) -> dict[str, Any]:
    """Exactly what can change the result of a run.

    Args:
        stage: its name.
        config: the stage's typed configuration.
        inputs: the ids of the runs that it reads, in order.
        code: the code fingerprint of the stage.
    """
    numerics = getattr(config, "numerics", getattr(config, "precision", "exact"))
    return {"stage": stage, "config": hashed(config), "inputs": list(inputs), "code": code, "numerics": numerics}


def resolved(value: Any) -> Any:
    """A value as JSON has it; of a configuration all options."""
    if dataclasses.is_dataclass(value):
        return {field.name: resolved(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [resolved(item) for item in value]
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    return value


def hashed(value: Any) -> Any:
    """A value as it enters an identity; of a configuration what differs from the defaults on record."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        options, properties = hashed_names(type(value))
        unsaid, found = left_out(type(value)), {name: hashed(getattr(value, name)) for name in options}
        chosen = {name: item for name, item in found.items() if name not in unsaid or item != unsaid[name]}
        return chosen | {name: item for name in properties if (item := hashed(getattr(value, name)))}
    if isinstance(value, list | tuple):
        return [hashed(item) for item in value]
    if isinstance(value, dict):
        return {key: hashed(item) for key, item in value.items()}
    return value


@cache
def hashed_names(kind: type) -> tuple[list[str], list[str]]:
    """Options and properties of a class of configuration that enter an identity.

    Raises:
        DropnasError: it has a method, which is code that no fingerprint sees; a property counts by its value.
    """
    members = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("__")}
    for name, member in members.items():
        if isinstance(member, FunctionType | MethodType):
            remedy = "make it a property, or a function of another module"
            raise DropnasError(
                "is a method of a class of configuration", where=f"{kind.__name__}.{name}", remedy=remedy
            )
    marks = {field.name: field.metadata.get("json_schema_extra", {}) for field in dataclasses.fields(kind)}
    properties = [name for name, member in members.items() if isinstance(member, property) and name not in APART]
    return [name for name in marks if marks[name].get("hashed", True)], properties


def defaults(kind: type) -> dict[str, Any]:
    """The defaults of a class of configuration, as JSON has them."""
    made = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in dataclasses.fields(kind)
    }
    return {name: hashed(value) for name, value in made.items() if value is not MISSING}


@cache
def left_out(kind: type) -> dict[str, Any]:
    """The value of each option that an identity leaves out: the default on record; of a new option its own."""
    return {**defaults(kind), **recorded().get(kind.__name__, {})}


def changed_defaults(kind: type) -> dict[str, Any]:
    """The defaults of a class of configuration that are not those on record."""
    unsaid = left_out(kind)
    return {name: value for name, value in defaults(kind).items() if value != unsaid[name]}


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """The defaults on record, by class and option."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    return found


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
        return identity_of(self.stage, self.config, [run.id for run in self.inputs], self.code)

    @cached_property
    def id(self) -> str:
        """The first hex digits of the identity's sha256."""
        return id_of(self.identity)

    @cached_property
    def folder(self) -> PurePosixPath:
        """Where the run lies, relative to the store's root. A dataset lies under `data/`, tracked apart from runs."""
        parent = PurePosixPath("data", self.config.name) if self.stage == "data" else PurePosixPath("runs", self.stage)
        return parent / f"{self.name}-{self.id}"
