"""What is reported of the architecture parameters after each epoch: their values, and what they would derive."""

from collections.abc import Mapping

from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.errors import DropnasError
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


def not_finite(values: Mapping[str, Tensor], epoch: int) -> DropnasError | None:
    """What to report where a value is not finite after an epoch, which is counted from 0."""
    for name, tensor in values.items():
        if not bool(tensor.isfinite().all()):
            remedy = "a smaller learning_rate or alpha_learning_rate, or precision fp32, may help"
            return DropnasError(f"a value of the {name} is not finite", where=f"epoch {epoch + 1}", remedy=remedy)
    return None


def describe(space: SearchSpace, alphas: Alphas) -> Row:
    """Where the alphas stand: entropy of p, skip-connects of the genotype, whether both scores give the same one."""
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
