"""Converts values from YAML or JSON to frozen, typed configurations; a wrong key or value raises a one-line error."""

import dataclasses
import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dropnas.choice import UNKNOWN_NAME, nearest
from dropnas.errors import DropnasError


def parse(kind: Any, content: Any, where: object) -> Any:
    """Convert plain values to a typed configuration.

    Raises:
        DropnasError: names the first wrong field and its accepted values.
    """
    try:
        return _adapter(kind).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise _first_error(error, kind, where) from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _first_error(error: ValidationError, kind: Any, where: object) -> DropnasError:
    first, *others = error.errors()
    path = ".".join(str(part) for part in first["loc"] if not str(part).startswith("[")) or "the file"
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(kind, first["loc"][:-1])
        remedy = nearest(str(first["loc"][-1]), known) if known else "remove it"
        return DropnasError(f"{path}: unknown key{more}", where=where, remedy=remedy)
    if first["type"] in ("missing", "missing_argument"):
        return DropnasError(f"{path}: missing{more}", where=where, remedy="add it")
    if first["type"] == UNKNOWN_NAME:
        return DropnasError(f"{path}: unknown name {first['input']!r}{more}", where=where, remedy=first["msg"])
    message = first["msg"][0].lower() + first["msg"][1:]
    return DropnasError(f"{path}: {message}, not {json.dumps(first['input'], default=str)[:80]}{more}", where=where)


def _known_keys(kind: Any, path: tuple[Any, ...]) -> list[str]:
    """Return the field names of the dataclass at this path of keys; empty if the path leads to no dataclass."""
    for part in path:
        if dataclasses.is_dataclass(kind):
            kind = next((f.type for f in dataclasses.fields(kind) if f.name == part), None)
        else:  # a mapping or a list, so continue with the type of its items
            kind = next((a for a in getattr(kind, "__args__", ()) if dataclasses.is_dataclass(a)), None)
    return [f.name for f in dataclasses.fields(kind)] if kind is not None and dataclasses.is_dataclass(kind) else []
