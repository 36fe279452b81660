"""The derive stage: the genotype of a search, by either score (Section 2.1; `dropnas.space.derivation` says how)."""

from collections.abc import Sequence
from pathlib import Path

from dropnas.search.config import DeriveConfig
from dropnas.space.derivation import genotype, is_same, read_alphas
from dropnas.training.metrics import write_json
from dropnas.workspace import Workspace


def run(config: DeriveConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Derive the genotype of the search `inputs[0]`.

    Writes genotype.json, and derivation.json: the genotype by either score, and whether they are equal.

    Raises:
        DropnasError: alphas.json is missing or holds no alphas of this shape.
    """
    operations, normal, reduce = read_alphas(inputs[0] / "alphas.json")
    found = {
        score: genotype(operations, normal, reduce, DeriveConfig(score=score, skips=config.skips))
        for score in ("alpha", "probability")
    }
    derivation = {
        "score": config.score,
        "skips": config.skips,
        **{score: each.to_json() for score, each in found.items()},
        "equal": is_same(found["alpha"], found["probability"]),
    }
    write_json(out / "genotype.json", found[config.score].to_json())
    write_json(out / "derivation.json", derivation)
    return {}
