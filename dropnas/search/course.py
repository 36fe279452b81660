"""What is told of the alphas after each epoch of a search: the matrices, and what they would give."""

from dropnas.errors import DropnasError
from dropnas.search import derive
from dropnas.search.architecture import Alphas, entropy
from dropnas.search.config import DeriveConfig
from dropnas.space.names import SKIP
from dropnas.space.spaces import SearchSpace
from dropnas.training.metrics import Row

Matrices = dict[str, list[list[float]]]


def matrices(alphas: Alphas) -> Matrices:
    """Both matrices as plain numbers."""
    return {kind: matrix.tolist() for kind, matrix in alphas._asdict().items()}


def not_finite(alphas: Alphas, epoch: int) -> DropnasError | None:
    """What to tell where an alpha is not finite after an epoch, which is counted from 0."""
    if all(bool(alpha.isfinite().all()) for alpha in alphas):
        return None
    return DropnasError(
        "an alpha is not finite", where=f"epoch {epoch + 1}", remedy="a smaller alpha_learning_rate may mend it"
    )


def describe(space: SearchSpace, alphas: Alphas) -> Row:
    """Where the alphas stand: entropy of p, skip-connects of the genotype, whether both scores give the same one."""
    normal, reduce = (matrix.tolist() for matrix in alphas)
    by_alpha = derive.genotype(space.operations, normal, reduce, DeriveConfig(score="alpha"))
    by_probability = derive.genotype(space.operations, normal, reduce, DeriveConfig(score="probability"))
    return {
        "alpha_entropy_normal": entropy(alphas.normal),
        "alpha_entropy_reduce": entropy(alphas.reduce),
        "skips_normal": sum(name == SKIP for name, _ in by_alpha.normal),
        "skips_reduce": sum(name == SKIP for name, _ in by_alpha.reduce),
        "same_by_probability": int(derive.is_same(by_alpha, by_probability)),
    }
