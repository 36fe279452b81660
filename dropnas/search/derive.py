"""The derive stage: derives the genotype of a search from the raw alphas or from p (Section 2.1).

`dropnas.space.derivation` contains the rule. A search method that has its own derivation rule writes the genotype at
the end of the search, and this stage uses that genotype.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dropnas.artifacts.derivation_file import DerivationFile
from dropnas.artifacts.search_files import AlphasFile
from dropnas.search.config import DeriveConfig
from dropnas.space.derivation import genotype, is_same
from dropnas.space.genotype import Genotype
from dropnas.workspace import Workspace


def run(config: DeriveConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Derive the genotype of the search `inputs[0]`.

    Writes genotype.json and derivation.json. The latter contains the rule that was used, the two genotypes that follow
    from the alphas and from p, and whether these two are equal.

    Raises:
        DropnasError: alphas.json is missing or its alphas have the wrong shape, or genotype.json is damaged.
    """
    alphas = AlphasFile.read(inputs[0])
    found = {
        score: genotype(alphas.operations, alphas.normal, alphas.reduce, DeriveConfig(score=score, skips=config.skips))
        for score in ("alpha", "probability")
    }
    by_strategy = Genotype.file(inputs[0]).exists()
    chosen = Genotype.read(inputs[0]) if by_strategy else found[config.score]
    chosen.write(out)
    rule: Literal["strategy", "alphas"] = "strategy" if by_strategy else "alphas"
    equal = is_same(found["alpha"], found["probability"])
    DerivationFile(rule, config.score, config.skips, **found, equal=equal).write(out)
    return {}
