"""The base class of every JSON file that a run writes: a frozen dataclass with its reader and writer.

Design choices: writing needs only the standard library, because a search must run with torch, numpy and safetensors
alone. Reading uses pydantic to check a file strictly against the types of the dataclass. Unknown and missing keys,
values of the wrong type and numbers that are not finite raise a one-line error that names the file and the field. The
keys are sorted, so equal runs write identical files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

from dropnas.errors import DropnasError

NOT_FINITE = "finite_number"
UNKNOWN_KEY = "unexpected_keyword_argument"  # pydantic's error for a key that is not a field
FURTHER = "further"  # the field for all unknown keys


class JsonFile:
    """A JSON file of a run. Subclasses are frozen dataclasses whose fields are the keys of the file.

    A field with the default None is left out of the file if it is None. A field `further` holds all keys that are not
    fields of the class; a class with this field calls `gathered` in `as_fields`.

    Attributes:
        FILE: name of the file in the folder of a run.
        ASCII: whether non-ASCII characters are escaped.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
    FILE: ClassVar[str]
    ASCII: ClassVar[bool] = True

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file, given by its path or by the folder of its run.

        Raises a DropnasError if it is missing or damaged, or a field is wrong; the error names the first wrong field.
        """
        return cls.of_text(cls.text(path), cls.file(path))

    @classmethod
    def file(cls, path: Path) -> Path:
        """The path itself or, if it is a folder, the path of `FILE` in it."""
        return path / cls.FILE if path.is_dir() else path

    @classmethod
    def text(cls, path: Path) -> str:
        """Read the text of a file. Raises a DropnasError if it is missing or cannot be read."""
        file = cls.file(path)
        if file != path and file.exists() and not file.is_file():  # reading a pipe would block
            raise DropnasError("is not a file", where=file)
        try:
            return file.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise DropnasError("no such file", where=file, remedy="the run is not finished, or was damaged") from error
        except (OSError, UnicodeDecodeError) as error:
            raise DropnasError(f"cannot be read ({error})", where=file) from error

    @classmethod
    def of_text(cls, text: str, where: object) -> Self:
        """Parse JSON text, and pass the values to `of_values`."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DropnasError(f"cannot be read as JSON ({error})", where=where) from error
        return cls.of_values(values, where)

    @classmethod
    def of_values(cls, values: Any, where: object) -> Self:
        """Check values parsed from JSON, and create the object. In errors, `where` names the origin of the values.

        Raises a DropnasError if a field is wrong; the error names the first one.
        """
        from pydantic import ValidationError  # imported here because writing must work without pydantic

        try:
            found: Self = _adapter(cls).validate_json(json.dumps(cls.as_fields(values)))  # type: ignore[arg-type]
        except ValidationError as error:
            raise DropnasError(_first(error.errors()), where=where) from error
        except DropnasError as error:
            origin = f"{where}: {error.where}" if error.where else where
            raise DropnasError(error.what, where=origin, remedy=error.remedy) from error
        return found

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """Convert the values in the file to the values of the fields."""
        return values

    def values(self) -> Any:
        """The content of the file as JSON types."""
        return plain(self)

    def json(self) -> str:
        """The text of the file. Raises a ValueError for a number that is not finite, which JSON cannot hold."""
        text = json.dumps(self.values(), sort_keys=True, indent=2, allow_nan=False, ensure_ascii=self.ASCII)
        return text + "\n"

    def write(self, folder: Path) -> None:
        """Write the file into the folder of a run."""
        (folder / self.FILE).write_text(self.json(), encoding="utf-8")


def _first(errors: Sequence[Mapping[str, Any]]) -> str:
    """Describe the first wrong field.

    A number that is not finite is reported first: if a field accepts several types, pydantic gives an error for each
    type, and only the error about the number names the actual problem. An unknown key comes second, because it may be
    a misspelling of a missing key.
    """
    first = next((one for kind in (NOT_FINITE, UNKNOWN_KEY) for one in errors if one["type"] == kind), errors[0])
    field = ".".join(map(str, first["loc"])) or "the file"
    if first["type"] == UNKNOWN_KEY:
        return f"{field}: unknown key"
    what = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in ("missing", "value_error") else f", not {json.dumps(first['input'])[:80]}"
    return f"{field}: {what[0].lower()}{what[1:]}{given}"


def plain(value: Any) -> Any:
    """Convert a value to JSON types: dataclasses to objects, sequences to lists."""
    if is_dataclass(value):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        defaults = {field.name: field.default for field in fields(value)}
        kept = {name: plain(one) for name, one in found.items() if one is not None or defaults[name] is MISSING}
        return kept | kept.pop(FURTHER, {})
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def gathered(kind: type, values: Any) -> Any:
    """Move the keys of an object that are not fields of `kind` to the key `further`."""
    if not isinstance(values, dict):
        return values
    known = {field.name for field in fields(kind)} - {FURTHER}
    own = {name: value for name, value in values.items() if name in known}
    return {**own, FURTHER: {name: value for name, value in values.items() if name not in known}}


@cache
def _adapter(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
