"""The base of every JSON file that a run writes: a frozen dataclass with its reader and its writer.

Design choices: writing needs the standard library alone, since a search must run where there is only torch, numpy and
safetensors. Reading holds a file against the types of the dataclass by pydantic, strictly: unknown and missing keys,
values of another type and numbers that are not finite are one line with the file and the field. JSON has sorted keys
and indents, so that equal runs give equal bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

from dropnas.errors import DropnasError

NOT_FINITE = "finite_number"
UNKNOWN = "unexpected_keyword_argument"  # what pydantic calls the error of a key that is no field
FURTHER = "further"  # the field that takes the keys of an open object


class JsonFile:
    """A file of a run. Subclasses are frozen dataclasses whose fields are the keys of the file.

    A field whose default is None is left out of the file where it is None. A field `further` stands for keys that the
    class does not know; a class that has one reads itself with `gathered`.

    Attributes:
        FILE: its name in the folder of the run.
        ASCII: whether other characters are escaped.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
    FILE: ClassVar[str]
    ASCII: ClassVar[bool] = True

    @classmethod
    def read(cls, path: Path) -> Self:
        """The content of a file, or of the file of this name in the folder of a run.

        Raises:
            DropnasError: it is missing, damaged, or holds something else; names the first wrong field.
        """
        return cls.of_text(cls.text(path), cls.file(path))

    @classmethod
    def file(cls, path: Path) -> Path:
        """A file itself, or the file of this name in a folder."""
        return path / cls.FILE if path.is_dir() else path

    @classmethod
    def text(cls, path: Path) -> str:
        """The text of a file. Raises a DropnasError where it is missing or cannot be read."""
        file = cls.file(path)
        if file != path and file.exists() and not file.is_file():  # in a run's folder a pipe would be waited for
            raise DropnasError("is no file", where=file)
        try:
            return file.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise DropnasError("no such file", where=file, remedy="the run is not finished, or was damaged") from error
        except (OSError, UnicodeDecodeError) as error:
            raise DropnasError(f"cannot be read ({error})", where=file) from error

    @classmethod
    def of_text(cls, text: str, where: object) -> Self:
        """As `of_values`, from JSON text."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DropnasError(f"cannot be read as JSON ({error})", where=where) from error
        return cls.of_values(values, where)

    @classmethod
    def of_values(cls, values: Any, where: object) -> Self:
        """Check plain values, as JSON holds them; `where` names their origin.

        Raises:
            DropnasError: names the first wrong field.
        """
        from pydantic import ValidationError  # late: what only writes runs where it is not installed

        try:
            found: Self = _adapter(cls).validate_json(json.dumps(cls.as_fields(values)))  # type: ignore[arg-type]
        except ValidationError as error:
            raise DropnasError(_first(error.errors()), where=where) from error
        except DropnasError as error:
            place = f"{where}: {error.where}" if error.where else where
            raise DropnasError(error.what, where=place, remedy=error.remedy) from error
        return found

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """The values of the fields from those of the file."""
        return values

    def values(self) -> Any:
        """The content of the file as plain values."""
        return plain(self)

    def json(self) -> str:
        """The text of the file. Raises ValueError on a number that is not finite, since JSON has none."""
        text = json.dumps(self.values(), sort_keys=True, indent=2, allow_nan=False, ensure_ascii=self.ASCII)
        return text + "\n"

    def write(self, folder: Path) -> None:
        """Write it into the folder of a run."""
        (folder / self.FILE).write_text(self.json(), encoding="utf-8")


def _first(errors: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with the first wrong field.

    A number that is not finite comes first: it shows which of two forms of a row was meant. Then comes an unknown key,
    which a missing one may follow from.
    """
    first = next((one for kind in (NOT_FINITE, UNKNOWN) for one in errors if one["type"] == kind), errors[0])
    field = ".".join(map(str, first["loc"])) or "the file"
    if first["type"] == UNKNOWN:
        return f"{field}: unknown key"
    what = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in ("missing", "value_error") else f", not {json.dumps(first['input'])[:80]}"
    return f"{field}: {what[0].lower()}{what[1:]}{given}"


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses as objects, sequences as lists."""
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
    """Values of an object whose keys beyond the fields of `kind` are gathered under `further`."""
    if not isinstance(values, dict):
        return values
    known = {field.name for field in fields(kind)} - {FURTHER}
    own = {name: value for name, value in values.items() if name in known}
    return {**own, FURTHER: {name: value for name, value in values.items() if name not in known}}


@cache
def _adapter(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
