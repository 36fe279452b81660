"""variant.json: the genotype from which a variant was made."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

ORIGIN = "from"  # the key of the field `origin`, because `from` is a Python keyword


@dataclass(frozen=True)
class VariantFile(JsonFile):
    """The content of the file."""

    FILE: ClassVar[str] = "variant.json"

    origin: str  # name of the folder with the original genotype
    edge_was_there: bool  # whether the original genotype had the edge

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """Rename the key `from` to the field `origin`."""
        if not isinstance(values, dict):
            return values
        return {"origin" if key == ORIGIN else key: value for key, value in values.items()}

    def values(self) -> dict[str, Any]:
        """Rename the field `origin` to the key `from`."""
        return {ORIGIN: self.origin, "edge_was_there": self.edge_was_there}
