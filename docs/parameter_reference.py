"""Writes docs/parameters.md, every key of a parameter file, from its JSON Schema: `python -m docs.parameter_reference`.

Types, defaults and ranges are the schema's; what a key means comes from the `Attributes:` of the configuration class,
which the schema carries as its description. So a new field is documented where it is declared, and nowhere else.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dropnas.config import schema
from dropnas.search.config import DropoutOptions

Schema = dict[str, Any]
PAGE = Path(__file__).parent / "parameters.md"
HEAD = """# Parameters

Every key of a parameter file (`params/*.yaml`). `make docs` makes this page from the types in the code; do not edit it.
Only `profile`, `description` and `datasets` are required. An unknown key or a wrong value is an error that names file
and key. [decisions.md](decisions.md) says why a default is what it is.
"""
OPTIONS = "search.options"  # the schema leaves their type to the strategy
COLUMNS = ["| key | type | default | values | meaning |", "|---|---|---|---|---|"]
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def page() -> str:
    """The whole reference: the file's own keys, then those of each section."""
    whole = schema()
    return "\n".join([HEAD, *(line for path, kind in _sections(whole) for line in _section(path, kind, whole))])


def descriptions(text: str) -> dict[str, str]:
    """What the `Attributes:` of a docstring say of each field; several may share an entry, as in `a, b: of both`."""
    found: dict[str, str] = {}
    entries = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8,}.*)*)", text.partition("Attributes:")[2], re.MULTILINE)
    for names, said in entries:
        sentence = " ".join(said.split())
        found |= dict.fromkeys(names.split(", "), sentence[0].upper() + sentence[1:])
    return found


def _sections(whole: Schema, path: str = "", kind: Schema | None = None) -> Iterator[tuple[str, Schema]]:
    """Each configuration with the keys that lead to it, in the order of the file."""
    kind = kind or whole
    yield path, kind
    for name, field in kind["properties"].items():
        below = f"{path}.{name}" if path else name
        if (inner := _class(field)) is not None:
            yield from _sections(whole, below + _item(field), whole["$defs"][inner])
        elif below == OPTIONS:
            yield below, TypeAdapter(DropoutOptions).json_schema()


def _class(field: Schema) -> str | None:
    """The configuration class of a key, of the values of a mapping or of the items of a list."""
    inner = field.get("items") or field.get("additionalProperties") or field
    inner = next((one for one in inner.get("oneOf", ()) if "$ref" in one), inner)
    return str(inner["$ref"]).rpartition("/")[2] if "$ref" in inner else None


def _item(field: Schema) -> str:
    return "[]" if "items" in field else ".*" if "additionalProperties" in field else ""


def _section(path: str, kind: Schema, whole: Schema) -> list[str]:
    text = kind["description"]
    said = descriptions(text)
    intro = " ".join(text.partition("Attributes:")[0].split())
    required = kind.get("required", [])
    rows = [
        [f"`{name}`", _type(name, field), _default(field, name in required), _values(field), _cell(said[name])]
        for name, field in kind["properties"].items()
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [f"## `{path}`" if path else "## The file", "", intro, "", *COLUMNS, *lines, ""]


def _type(name: str, field: Schema) -> str:
    """A word for it; a link where another section describes what is in it."""
    if "oneOf" in field:
        return " or ".join(_type(name, one) for one in field["oneOf"])
    word = {"array": "list", "object": "mapping", None: "section"}.get(field.get("type"), field.get("type"))
    return f"[{word}](#{name})" if _class(field) else str(word)


def _default(field: Schema, required: bool) -> str:
    if required or "$ref" in field:
        return "required" if required else ""
    return f"`{json.dumps(field.get('default', {}))}`"  # of mappings alone the schema has none


def _values(field: Schema) -> str:
    """What a key takes beyond its type: words, bounds, a pattern; of a list or mapping, its items or keys."""
    words = [*_words(field), *_words(field.get("items", {})), *_words(field.get("propertyNames", {}))]
    plain = next((one for one in field.get("oneOf", ()) if "$ref" not in one), field)
    bounds = [f"{sign} {plain[bound]}" for bound, sign in BOUNDS.items() if bound in plain]
    pattern = [f"matches `{field['pattern']}`"] if "pattern" in field else []
    items = ["not empty"] if field.get("minItems") or field.get("minLength") else []
    return _cell(", ".join([*(f"`{word}`" for word in words), *bounds, *pattern, *items]))


def _words(field: Schema) -> list[str]:
    return [*field.get("enum", []), *(word for choice in field.get("anyOf", []) for word in choice.get("enum", []))]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
