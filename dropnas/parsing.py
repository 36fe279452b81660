"""Plain values, as YAML and JSON hold them, into frozen, typed dataclasses; a wrong key or value is one line."""

import dataclasses
import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dropnas.choice import UNKNOWN_NAME, nearest
from dropnas.errors import DropnasError

UNKNOWN_KEYS = ("unexpected_keyword_argument", "extra_forbidden")
MISSING = ("missing", "missing_argument")
# A number that is not finite shows which of two forms of a value was meant; an unknown key may be a missing one.
TELLING = ("finite_number", *UNKNOWN_KEYS)


def parse(kind: Any, content: Any, where: object) -> Any:
    """A typed dataclass from plain values. Raises a DropnasError that names the first wrong field."""
    try:
        return _adapter(kind).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise _first_error(error, kind, where) from error
    except DropnasError as error:
        origin = f"{where}: {error.where}" if error.where else where
        raise DropnasError(error.what, where=origin, remedy=error.remedy) from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _first_error(error: ValidationError, kind: Any, where: object) -> DropnasError:
    errors = error.errors()
    first = next((one for telling in TELLING for one in errors if one["type"] == telling), errors[0])
    path = ".".join(str(part) for part in first["loc"] if not str(part).startswith("[")) or "the file"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    fault, remedy = f"{message[0].lower()}{message[1:]}, not {json.dumps(first['input'], default=str)[:80]}", ""
    if first["type"] in UNKNOWN_KEYS:
        known = _known_keys(kind, first["loc"][:-1])
        fault, remedy = "unknown key", nearest(str(first["loc"][-1]), known) if known else "remove it"
    elif first["type"] in MISSING:
        fault = "missing"
    elif first["type"] == UNKNOWN_NAME:
        fault, remedy = f"unknown name {first['input']!r}", message
    elif first["type"] == "value_error":  # its message has the value
        fault = message
    return DropnasError(f"{path}: {fault}{more}", where=where, remedy=remedy)


def _known_keys(kind: Any, path: tuple[Any, ...]) -> list[str]:
    """Field names of the dataclass that a path of keys leads to."""
    for part in path:
        if dataclasses.is_dataclass(kind):
            kind = next((f.type for f in dataclasses.fields(kind) if f.name == part), None)
        else:  # a mapping or a list: the type of its items
            kind = next((a for a in getattr(kind, "__args__", ()) if dataclasses.is_dataclass(a)), None)
    return [f.name for f in dataclasses.fields(kind)] if kind is not None and dataclasses.is_dataclass(kind) else []
