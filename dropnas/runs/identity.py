"""The identity of a run: exactly what can change its result. The hash of the identity is the id in the folder's name.

Options of the configuration that have their recorded default (in `defaults.yaml`) are left out. A new option therefore
leaves old identities unchanged, whereas a changed default changes the identity of every run that relies on it. Options
marked as not hashed (such as the location of a source) are left out too. The values of the configuration's properties
are included, for example the options that a preset stands for. Versions, device and container image are recorded, but
not hashed.
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
SEPARATE_PARTS = {"code", "numerics"}  # properties of a configuration that are separate entries of an identity


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def id_of(identity: dict[str, Any]) -> str:
    """The first hex digits of the sha256 of an identity."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:ID_DIGITS]


def identity_of(stage: str, config: Any, inputs: Sequence[str], code: str) -> dict[str, Any]:
    """Collect exactly what can change the result of a run."""
    numerics = getattr(config, "numerics", getattr(config, "precision", "exact"))
    return {"stage": stage, "config": hashed(config), "inputs": list(inputs), "code": code, "numerics": numerics}


def resolved(value: Any) -> Any:
    """Convert a value to JSON; configurations keep all their options."""
    if dataclasses.is_dataclass(value):
        return {field.name: resolved(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [resolved(item) for item in value]
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    return value


def hashed(value: Any) -> Any:
    """Convert a value to JSON for an identity; configurations omit options that have the recorded default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        options, properties = hashed_names(type(value))
        unsaid, found = omitted_defaults(type(value)), {name: hashed(getattr(value, name)) for name in options}
        chosen = {name: item for name, item in found.items() if name not in unsaid or item != unsaid[name]}
        return chosen | {name: item for name in properties if (item := hashed(getattr(value, name)))}
    if isinstance(value, list | tuple):
        return [hashed(item) for item in value]
    if isinstance(value, dict):
        return {key: hashed(item) for key, item in value.items()}
    return value


@cache
def hashed_names(kind: type) -> tuple[list[str], list[str]]:
    """The options and properties of a configuration class that are part of an identity.

    Raises a DropnasError if the class has a method, because a fingerprint does not cover the code of methods. For a
    property, its value becomes part of the identity.
    """
    members = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("__")}
    for name, member in members.items():
        if isinstance(member, FunctionType | MethodType):
            remedy = "make it a property, or a function of another module"
            raise DropnasError("is a method of a configuration class", where=f"{kind.__name__}.{name}", remedy=remedy)
    marks = {field.name: field.metadata.get("json_schema_extra", {}) for field in dataclasses.fields(kind)}
    properties = [
        name for name, member in members.items() if isinstance(member, property) and name not in SEPARATE_PARTS
    ]
    return [name for name in marks if marks[name].get("hashed", True)], properties


def defaults(kind: type) -> dict[str, Any]:
    """The defaults of a configuration class, as JSON."""
    made = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in dataclasses.fields(kind)
    }
    return {name: hashed(value) for name, value in made.items() if value is not MISSING}


@cache
def omitted_defaults(kind: type) -> dict[str, Any]:
    """For each option, the value that an identity omits: the recorded default or, for a new option, its default."""
    return {**defaults(kind), **recorded().get(kind.__name__, {})}


def changed_defaults(kind: type) -> dict[str, Any]:
    """The defaults of a configuration class that differ from the recorded ones."""
    unsaid = omitted_defaults(kind)
    return {name: value for name, value in defaults(kind).items() if value != unsaid[name]}


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """The recorded defaults, by class and option."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Run:
    """A computation that is performed only once: a stage with its configuration, its inputs and its code."""

    stage: str  # name of the stage, such as data, search, derive, retrain, select, transfer or table
    name: str  # readable name, which depends only on the configuration and the inputs
    config: Any  # the stage's typed configuration
    inputs: tuple["Run", ...]  # the runs that it reads, in order
    code: str  # the code fingerprint of the stage

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
        """The run's folder, relative to the store's root. Datasets are in `data/`, where DVC tracks them separately."""
        parent = PurePosixPath("data", self.config.name) if self.stage == "data" else PurePosixPath("runs", self.stage)
        return parent / f"{self.name}-{self.id}"
