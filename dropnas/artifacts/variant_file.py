"""variant.json: which genotype a variant was made from."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

ORIGIN = "from"  # the key of `origin`; a word of Python


@dataclass(frozen=True)
class VariantFile(JsonFile):
    """The name of the folder with the original genotype, and whether that had the edge."""

    FILE: ClassVar[str] = "variant.json"

    origin: str
    edge_was_there: bool

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """With the name of the field for the key."""
        if not isinstance(values, dict):
            return values
        return {"origin" if key == ORIGIN else key: value for key, value in values.items()}

    def values(self) -> dict[str, Any]:
        """With the key for the name of the field."""
        return {ORIGIN: self.origin, "edge_was_there": self.edge_was_there}
