"""What is reported of the architecture parameters after each epoch: their values, and what they would derive."""

import math
from collections.abc import Mapping

from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.errors import DropnasError, not_finite
from dropnas.search.architecture import ALPHAS, Alphas, entropy
from dropnas.search.config import DeriveConfig
from dropnas.search.state import Matrices
from dropnas.space import derivation
from dropnas.space.names import SKIP
from dropnas.space.spaces import SearchSpace


def matrices(architecture: Mapping[str, Tensor]) -> Matrices:
    """Architecture parameters as plain numbers."""
    others = {name: values.tolist() for name, values in architecture.items() if name != ALPHAS}
    return {**dict(zip(Alphas._fields, architecture[ALPHAS].tolist(), strict=True)), **others}


def fault_of(values: Mapping[str, Tensor], epoch: int) -> DropnasError | None:
    """What to report where a value is not finite after an epoch, which is counted from 0."""
    for name, tensor in values.items():
        if not bool(tensor.isfinite().all()):
            return not_finite(f"a value of the {name}", f"epoch {epoch + 1}")
    return None


def describe(space: SearchSpace, alphas: Alphas, candidates: Tensor | None) -> Row:
    """Where the alphas stand: entropy of p, skip-connects of the genotype, whether both scores give the same one.

    Args:
        candidates: bool (2, edges, operations), the operations that take part; None means all.
    """
    if candidates is not None:
        pairs = zip(alphas, candidates, strict=True)
        alphas = Alphas(*(matrix.masked_fill(~of_kind, -math.inf) for matrix, of_kind in pairs))
    normal, reduce = (matrix.tolist() for matrix in alphas)
    by_alpha = derivation.genotype(space.operations, normal, reduce, DeriveConfig(score="alpha", skips="separate"))
    by_probability = derivation.genotype(
        space.operations, normal, reduce, DeriveConfig(score="probability", skips="separate")
    )
    return {
        "alpha_entropy_normal": entropy(alphas.normal),
        "alpha_entropy_reduce": entropy(alphas.reduce),
        "skips_normal": sum(name == SKIP for name, _ in by_alpha.normal),
        "skips_reduce": sum(name == SKIP for name, _ in by_alpha.reduce),
        "same_by_probability": int(derivation.is_same(by_alpha, by_probability)),
    }
