"""derivation.json: how a genotype was derived, and the genotypes by raw alpha and by probability."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dropnas.artifacts.genotype_file import GenotypeFile
from dropnas.artifacts.json_file import JsonFile


@dataclass(frozen=True)
class DerivationFile(JsonFile):
    FILE: ClassVar[str] = "derivation.json"

    # `strategy` if the search method derived the genotype by its own rule, otherwise `alphas`
    rule: Literal["strategy", "alphas"]
    # score, skips: options of the rule `alphas`
    score: str
    skips: str
    # alpha, probability: the genotypes by raw alpha and by probability
    alpha: GenotypeFile
    probability: GenotypeFile
    equal: bool  # whether `alpha` and `probability` are the same architecture
