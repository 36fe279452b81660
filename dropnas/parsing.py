"""Plain values, as YAML and JSON hold them, into frozen, typed configurations; a wrong key or value is one line."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dropnas.errors import DropnasError

UNKNOWN_NAME = "unknown_name"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """For `Annotated[str, OneOf(names)]`: one of the names that are registered, also in the JSON Schema.

    Attributes:
        names: gives the names; asked whenever a value is checked.
    """

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(kind))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.names())}

    def _checked(self, name: str) -> str:
        known = list(self.names())
        if name not in known:
            raise PydanticCustomError(UNKNOWN_NAME, "{hint}", {"hint": _hint(name, known)})
        return name


def _hint(name: str, known: Iterable[str]) -> str:
    """What to say of an unknown name: the one that comes close, or else all."""
    close = get_close_matches(name, known := list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def parse(kind: Any, content: Any, where: object) -> Any:
    """A typed configuration from plain values.

    Raises:
        DropnasError: names the first wrong field and says what it takes.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise _first_error(error, kind, where) from error


def _first_error(error: ValidationError, kind: Any, where: object) -> DropnasError:
    first, *others = error.errors()
    path = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(kind, first["loc"][:-1])
        return DropnasError(f"{path}: unknown key{more}", where=where, remedy=_hint(str(first["loc"][-1]), known))
    if first["type"] in ("missing", "missing_argument"):
        return DropnasError(f"{path}: missing{more}", where=where, remedy="add it")
    if first["type"] == UNKNOWN_NAME:
        return DropnasError(f"{path}: unknown name {first['input']!r}{more}", where=where, remedy=first["msg"])
    message = first["msg"][0].lower() + first["msg"][1:]
    return DropnasError(f"{path}: {message}, not {json.dumps(first['input'], default=str)[:80]}{more}", where=where)


def _known_keys(kind: Any, path: tuple[Any, ...]) -> list[str]:
    """Field names of the configuration that a path of keys leads to."""
    for part in path:
        if dataclasses.is_dataclass(kind):
            kind = next((f.type for f in dataclasses.fields(kind) if f.name == part), None)
        else:  # a mapping or a list: the type of its items
            kind = next((a for a in getattr(kind, "__args__", ()) if dataclasses.is_dataclass(a)), None)
    return [f.name for f in dataclasses.fields(kind)] if kind is not None and dataclasses.is_dataclass(kind) else []
