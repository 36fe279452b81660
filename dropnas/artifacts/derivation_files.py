"""derivation.json and variant.json: how a genotype was derived, and the genotype from which a variant was made."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile

ORIGIN = "from"  # the key of the field `origin`, because `from` is a Python keyword


@dataclass(frozen=True)
class DerivationFile(JsonFile):
    """How a genotype was derived."""

    FILE: ClassVar[str] = "derivation.json"

    # `strategy` if the search method derived it by its own rule, otherwise `alphas`
    rule: Literal["strategy", "alphas"]
    # score, skips: options of the rule `alphas`
    score: str
    skips: str
    # alpha, probability: the genotypes by raw alpha and by probability
    alpha: GenotypeFile
    probability: GenotypeFile
    equal: bool  # whether these two are the same architecture


@dataclass(frozen=True)
class VariantFile(JsonFile):
    """The name of the folder with the original genotype, and whether this genotype had the edge."""

    FILE: ClassVar[str] = "variant.json"

    origin: str
    edge_was_there: bool

    @classmethod
    def as_fields(cls, values: Any) -> Any:
        """Rename the key to the name of the field."""
        if not isinstance(values, dict):
            return values
        return {"origin" if key == ORIGIN else key: value for key, value in values.items()}

    def values(self) -> dict[str, Any]:
        """Rename the field to the key."""
        return {ORIGIN: self.origin, "edge_was_there": self.edge_was_there}
