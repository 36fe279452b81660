"""What is reported of the architecture parameters after each epoch: their values, and the genotype that they give.

Design choices: an entry of the history is plain numbers, since checkpoints hold it. Where a method prunes, it has a
mask of what is left; where a method derives by a rule of its own, it has that genotype, or None before there is one.
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

LEFT, GENOTYPE = "left", "genotype"  # keys of an entry beside the architecture parameters


def matrices(architecture: Mapping[str, Tensor]) -> Matrices:
    """Architecture parameters as plain numbers."""
    others = {name: values.tolist() for name, values in architecture.items() if name != ALPHAS}
    return {**dict(zip(Alphas._fields, architecture[ALPHAS].tolist(), strict=True)), **others}


def fault_of(values: Mapping[str, Tensor], epoch: int) -> DropnasError | None:
    """An error if a value is not finite after an epoch, which is counted from 0."""
    for name, tensor in values.items():
        if not bool(tensor.isfinite().all()):
            return not_finite(f"a value of the {name}", f"epoch {epoch + 1}")
    return None


def describe(space: SearchSpace, alphas: Alphas, entry: Matrices) -> Row:
    """Where the alphas stand: entropy of p over what is left, skip-connects of the genotype, whether both scores of
    the alphas give the same one.

    Args:
        entry: of the history, after the same epoch.
    """
    if LEFT in entry:
        pairs = zip(alphas, torch.tensor(entry[LEFT], device=alphas.normal.device), strict=True)
        alphas = Alphas(*(matrix.masked_fill(~of_kind, -math.inf) for matrix, of_kind in pairs))
    normal, reduce = (matrix.tolist() for matrix in alphas)
    by_alpha = derivation.genotype(space.operations, normal, reduce, DeriveConfig(score="alpha", skips="separate"))
    by_probability = derivation.genotype(
        space.operations, normal, reduce, DeriveConfig(score="probability", skips="separate")
    )
    chosen = entry.get(GENOTYPE, by_alpha.values())
    return {
        "alpha_entropy_normal": entropy(alphas.normal),
        "alpha_entropy_reduce": entropy(alphas.reduce),
        "skips_normal": chosen and sum(name == SKIP for name, _ in chosen["normal"]),
        "skips_reduce": chosen and sum(name == SKIP for name, _ in chosen["reduce"]),
        "same_by_probability": int(derivation.is_same(by_alpha, by_probability)),
    }
