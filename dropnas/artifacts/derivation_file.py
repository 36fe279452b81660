"""derivation.json: how a genotype was derived, and what the other score would have given."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class DerivationFile(JsonFile):
    """How a genotype was derived.

    Attributes:
        rule: `strategy` where the search method derived it itself, else `alphas`.
        score, skips: the options of the rule by alphas.
        alpha, probability: the genotype by either score of the alphas.
        equal: whether these two are one architecture.
    """

    FILE: ClassVar[str] = "derivation.json"

    rule: Literal["strategy", "alphas"]
    score: str
    skips: str
    alpha: GenotypeFile
    probability: GenotypeFile
    equal: bool
