"""A configuration type for registered names. Pydantic is imported only when it checks a value."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

UNKNOWN_NAME = "unknown_name"  # the type of the pydantic error for a name that is not registered


@dataclass(frozen=True)
class OneOf:
    """For `Annotated[str, OneOf(names)]`: rejects a name that is not in `names`; the JSON Schema lists the names."""

    names: Callable[[], Iterable[str]]  # called whenever a value is checked

    def __get_pydantic_core_schema__(self, kind: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._checked, handler(kind))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.names())}

    def _checked(self, name: str) -> str:
        from pydantic_core import PydanticCustomError

        if name not in self.names():
            raise PydanticCustomError(UNKNOWN_NAME, "{hint}", {"hint": nearest(name, self.names())})
        return name


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: the closest known name, or all known names."""
    close = get_close_matches(name, known := list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
