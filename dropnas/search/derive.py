"""The derive stage: the genotype of a search, by either score (Section 2.1; `dropnas.space.derivation` says how).

A search method with a rule of its own has written its genotype at the end of the search, and that one is taken.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.search.config import DeriveConfig
from dropnas.space.derivation import genotype, is_same, read_alphas
from dropnas.space.genotype import read_genotype
from dropnas.training.metrics import write_json
from dropnas.workspace import Workspace


def run(config: DeriveConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Derive the genotype of the search `inputs[0]`.

    Writes genotype.json, and derivation.json: which rule it is by, the genotype by either score of the alphas, and
    whether these two are equal.

    Raises:
        DropnasError: alphas.json is missing or holds no alphas of this shape; genotype.json is damaged.
    """
    operations, normal, reduce = read_alphas(inputs[0] / "alphas.json")
    found = {
        score: genotype(operations, normal, reduce, DeriveConfig(score=score, skips=config.skips))
        for score in ("alpha", "probability")
    }
    by_strategy = inputs[0] / "genotype.json"
    chosen = read_genotype(by_strategy) if by_strategy.exists() else found[config.score]
    derivation = {
        "rule": "strategy" if by_strategy.exists() else "alphas",
        "score": config.score,
        "skips": config.skips,
        **{score: each.to_json() for score, each in found.items()},
        "equal": is_same(found["alpha"], found["probability"]),
    }
    write_json(out / "genotype.json", chosen.to_json())
    write_json(out / "derivation.json", derivation)
    return {}
