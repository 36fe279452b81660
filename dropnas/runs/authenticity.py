"""Checks that a run matches the name of its folder. The identity of a run follows from its manifest alone.

Code that reads a run recomputes its identity from the manifest (configuration, inputs, code) and compares it with the
name of the folder. Code that publishes a run computes the identity from what actually ran. The manifests are small, so
a store with a thousand runs is checked in less than a second. `Store.damage` checks the other files.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dropnas.artifacts.manifest_file import ManifestFile
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.runs.configurations import configuration
from dropnas.runs.identity import ID_DIGITS, hashed, hashed_names, id_of, omitted_defaults
from dropnas.runs.store import Store

RUN = re.compile(rf"[A-Za-z0-9][\w.+-]*-([0-9a-f]{{{ID_DIGITS}}})")
Record = dict[str, Any]  # the record of a finished run, from its manifest
TEXT_FIELDS = dict.fromkeys(("id", "stage", "name"), str)
SHAPE = {**TEXT_FIELDS, "identity": dict, "config": dict, "inputs": list, "input_manifests": dict}


def id_in(name: str) -> str:
    """The id at the end of a run folder's name; empty if the name is not that of a run."""
    match = RUN.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""


def require_own(folder: Path) -> Record:
    """Return the record of a run, which must match the name of its folder.

    Raises a DropnasError if the folder holds another run, or the manifest contradicts itself.
    """
    record: Record = ManifestFile.read(folder).run
    for fault in identity_faults(folder, record):
        raise DropnasError(fault, where=folder, remedy="restore the folder, or remove it and compute the run again")
    return record


def require_whole(folder: Path) -> Record:
    """Return the record of a run, which must match the name of its folder and have unchanged files.

    Raises a DropnasError if the record does not match, or a file is damaged.
    """
    record = require_own(folder)
    Store(folder.parents[2]).require_intact(folder)
    return record


def identity_faults(folder: Path, record: Record) -> list[str]:
    """A list with the first reason why a record does not match its folder; empty if it matches."""
    return list(_faults(folder, record))[:1]


def input_faults(record: Record, manifests: Mapping[str, str]) -> list[str]:
    """List the inputs that are still in the store but differ from those that the run read."""
    read = read_inputs(record)
    replaced = [name for name in read if manifests.get(name, read[name]) != read[name]]
    return [f"its input {name} was replaced by another computation" for name in replaced]


def read_inputs(record: Record) -> dict[str, str]:
    """The sha256 of the manifest of each input, by the name of the input's folder."""
    read = record.get("input_manifests")
    return read if isinstance(read, dict) else {}


def machines(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The machines that computed a run, in order; more than one if the run was stopped and continued elsewhere."""
    found = record.get("machines")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _faults(folder: Path, record: Record) -> Iterator[str]:
    if odd := next((name for name, kind in SHAPE.items() if not isinstance(record.get(name), kind)), ""):
        yield f"its manifest has no valid {odd!r}"
        return
    found, said = _id(record["identity"]), record["identity"]
    if found != record["id"] or folder.name != f"{record['name']}-{found}":
        yield f"holds another run than its name says: {record['stage']} {record['name']}-{record['id']}"
        return
    if (record["stage"], _stage_of(folder)) != (said.get("stage"), said.get("stage")):
        yield f"is a {said.get('stage')} run, which does not belong there"
        return
    names = [str(name) for name in record["inputs"]]
    ids = [id_in(name) for name in names]
    if ids != said.get("inputs") or "" in ids or set(names) != record["input_manifests"].keys():
        yield "its inputs do not match its identity"
    yield from _config_faults(record["stage"], record["config"], said.get("config"))
    if record["stage"] == "data" and folder.parent.name != record["config"].get("name"):
        yield f"is not of the data set {folder.parent.name}"


def _id(identity: dict[str, Any]) -> str:
    try:
        return id_of(identity)
    except (ValueError, RecursionError):
        return ""


def _stage_of(folder: Path) -> str:
    return "data" if folder.parent.parent.name == "data" else folder.parent.name


def _config_faults(stage: str, config: dict[str, Any], said: Any) -> Iterator[str]:
    """Check each option of the configuration against the identity, which omits default values (`omitted_defaults`).

    If this version of the code no longer has an option, the option is compared directly. Properties are not compared:
    they are not part of the configuration, and another version of the code may compute other values.
    """
    try:
        kind = configuration(stage)
        options, properties = hashed_names(kind)
        known = {field.name for field in dataclasses.fields(kind)}
        typed = parse(kind, {name: config[name] for name in config.keys() & known}, "its configuration")
    except DropnasError as error:
        yield str(error)
        return
    if not isinstance(said, dict):
        yield "its identity has no configuration"
        return
    found = {name: hashed(getattr(typed, name)) for name in options}
    found |= {name: config.get(name) for name in said.keys() - {*options, *properties}}
    unsaid = omitted_defaults(kind)
    for name in sorted(found):
        if found[name] != said.get(name, unsaid.get(name)):
            yield f"its configuration does not match its identity ({name})"
