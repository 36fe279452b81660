"""The state of the architecture parameters after each epoch: their values, and the genotype that they yield.

Design choices: an entry of the history consists of plain numbers, because it is saved in checkpoints. If a method
prunes, an entry also has the mask of the remaining operations. If a method has its own derivation rule, an entry also
has the genotype that this rule yields, or None until the rule yields one.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.errors import DropnasError, not_finite
from dropnas.search.architecture import ALPHAS, Alphas, entropy
from dropnas.search.config import DeriveConfig
from dropnas.search.state import Matrices
from dropnas.space import derivation
from dropnas.space.names import SKIP
from dropnas.space.spaces import SearchSpace

LEFT_KEY, GENOTYPE_KEY = "left", "genotype"  # additional keys of an entry


def matrices(architecture: Mapping[str, Tensor]) -> Matrices:
    """Convert architecture parameters to plain numbers."""
    normal, reduce = architecture[ALPHAS].tolist()
    further = {name: values.tolist() for name, values in architecture.items() if name != ALPHAS}
    return {"normal": normal, "reduce": reduce, "further": further}


def fault_of(values: Mapping[str, Tensor], epoch: int) -> DropnasError | None:
    """Return an error if a value is not finite after an epoch (counted from 0), otherwise None."""
    for name, tensor in values.items():
        if not bool(tensor.isfinite().all()):
            return not_finite(f"a value of the {name}", f"epoch {epoch + 1}")
    return None


def describe(space: SearchSpace, alphas: Alphas, entry: Matrices) -> Row:
    """Summarise an epoch as a row of metrics, from its alphas and its entry in the history.

    The row has the entropy of p over the remaining operations, the number of skip-connects in the genotype, and whether
    alpha and p yield the same genotype.
    """
    if LEFT_KEY in entry:
        pairs = zip(alphas, torch.tensor(entry[LEFT_KEY], device=alphas.normal.device), strict=True)
        alphas = Alphas(*(matrix.masked_fill(~of_kind, -math.inf) for matrix, of_kind in pairs))
    normal, reduce = (matrix.tolist() for matrix in alphas)
    by_alpha, by_probability = (
        derivation.genotype(space.operations, normal, reduce, DeriveConfig(score=score, skips="separate"))
        for score in ("alpha", "probability")
    )
    chosen = entry.get(GENOTYPE_KEY, by_alpha.values())
    return {
        "alpha_entropy_normal": entropy(alphas.normal),
        "alpha_entropy_reduce": entropy(alphas.reduce),
        "skips_normal": chosen and sum(name == SKIP for name, _ in chosen["normal"]),
        "skips_reduce": chosen and sum(name == SKIP for name, _ in chosen["reduce"]),
        "same_by_probability": int(derivation.is_same(by_alpha, by_probability)),
    }
