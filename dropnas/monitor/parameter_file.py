"""Writes parameters as a file that a person can read: what is at its default is left out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dropnas.config import Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.runs.files import write_text


def write_parameters(parameters: Parameters, file: Path, header: Sequence[str]) -> None:
    """Write a parameter file that reads as these very parameters.

    Args:
        header: lines of the comment at its top.

    Raises:
        DropnasError: another file stands there already.
    """
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header)
    text = comment + yaml.safe_dump(different(parameters), sort_keys=False, allow_unicode=True, width=110)
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise DropnasError("stands there already", where=file, remedy="remove it, or name another with --out")
    write_text(file, text)
    if read_parameters(file) != parameters:
        raise DropnasError("does not read as what was written", where=file)


def different(config: Any) -> dict[str, Any]:
    """The fields of a configuration that are not at their default, as YAML values."""
    values = ((field, getattr(config, field.name)) for field in dataclasses.fields(config))
    return {field.name: _plain(value) for field, value in values if value != _default(field)}


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return different(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
