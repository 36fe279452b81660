"""The correlation stage: does the weight p of Eq. 1 predict how good an operation is on its own (Figure 5)?

Design choices: the "predicted alpha" of Figure 5 is between 0.10 and 0.16, around 1/8. It must therefore be p of Eq. 1,
a softmax over all eight operations (Section 5.5). The stand-alone accuracy is the best test accuracy over all epochs,
as everywhere in the paper; the accuracy of the final epoch is also recorded. Because there are only seven points,
Pearson's and Spearman's coefficients are given with 95 % intervals. Both intervals use Fisher's z. For Spearman's rho,
the variance of z is (1 + rho^2 / 2) / (n - 3), as derived by Bonett and Wright (2000). A coefficient of ±1 has no
interval: Fisher's z is infinite, and an interval of width zero would claim certainty. Spearman's p-value comes from a
permutation test, because the usual t approximation needs many points. The test is exact for up to EXACT permutations.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from scipy.special import softmax
from scipy.stats import norm, pearsonr, permutation_test, rankdata, spearmanr

from dropnas.analysis.config import CorrelationConfig
from dropnas.analysis.finished_runs import read_run, read_training
from dropnas.artifacts.correlation_file import Coefficient, CorrelationFile, StandAlone
from dropnas.artifacts.search_files import AlphasFile
from dropnas.artifacts.selection_file import SelectionFile
from dropnas.errors import DropnasError
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS
from dropnas.space.spaces import edges
from dropnas.workspace import Workspace

INTERVAL_LEVEL = 0.95
FEWEST_FOR_Z = 4  # smallest number of points, because Fisher's z has variance 1 / (n - 3)
EXACT = 10_000  # largest number of permutations; seven points have 5,040. If there are more, they are sampled
UNDEFINED = Coefficient(None, None, None, None)


def run(config: CorrelationConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Correlate stand-alone accuracy with p on one edge of the chosen normal cell.

    Args:
        config: the edge and its operations.
        inputs: the select run, the search that produced each of its candidates, and a retraining for each operation.
        out: folder for correlation.json.

    Raises a DropnasError if an input is missing or damaged, the inputs are inconsistent, or the edge does not exist.
    """
    searches, trained = inputs[1 : -len(config.operations)], inputs[-len(config.operations) :]
    search = searches[_chosen(inputs[0], len(searches))]
    operations = tuple(
        StandAlone(operation, alpha, p, *_accuracies(folder), run=folder.name)
        for operation, (alpha, p), folder in zip(config.operations, _weights(config, search), trained, strict=True)
    )
    p, accuracy = [one.p for one in operations], [one.accuracy_best for one in operations]
    CorrelationFile(
        edge=(config.predecessor, config.node),
        search=search.name,
        edge_was_there=_has_edge(Genotype.read(inputs[0]), config),
        n=len(operations),
        operations=operations,
        pearson=pearson(accuracy, p),
        spearman=spearman(accuracy, p),
    ).write(out)
    return {}


def pearson(x: Sequence[float], y: Sequence[float]) -> Coefficient:
    """Pearson's r with its 95 % interval (Fisher's z) and its p-value; all None if it is undefined."""
    if not _is_defined(x, y):
        return UNDEFINED
    found = pearsonr(x, y)
    return _coefficient(found.statistic, 1 / (len(x) - 3), found.pvalue)


def spearman(x: Sequence[float], y: Sequence[float]) -> Coefficient:
    """Spearman's rho with its 95 % interval (Bonett and Wright) and exact p-value; all None if it is undefined."""
    if not _is_defined(x, y):
        return UNDEFINED
    rho = float(spearmanr(x, y).statistic)
    ranks, others = rankdata(x), rankdata(y)
    orders = permutation_test(
        (ranks,),
        lambda order, axis: (order * others).sum(axis=axis),  # the only term of rho that depends on the order
        permutation_type="pairings",
        vectorized=True,
        n_resamples=EXACT,
        rng=0,
    )
    return _coefficient(rho, (1 + rho**2 / 2) / (len(x) - 3), orders.pvalue)


def _coefficient(value: float, variance: float, p_value: float) -> Coefficient:
    """Return a coefficient with its p-value and its interval from Fisher's z. At ±1, there is no interval."""
    value = max(-1.0, min(1.0, float(value)))
    if math.isclose(abs(value), 1.0, abs_tol=1e-12):
        return Coefficient(float(round(value)), None, None, float(p_value))
    half = float(norm.ppf((1 + INTERVAL_LEVEL) / 2)) * math.sqrt(variance)
    low, high = (math.tanh(math.atanh(value) + side * half) for side in (-1, 1))
    return Coefficient(value, low, high, float(p_value))


def _is_defined(x: Sequence[float], y: Sequence[float]) -> bool:
    return len(x) >= FEWEST_FOR_Z and len(set(x)) > 1 and len(set(y)) > 1


def _chosen(select: Path, searches: int) -> int:
    selection = SelectionFile.read(select)
    runs = [candidate.run for candidate in selection.candidates]
    if len(runs) != searches:
        what = f"chose among {len(runs)} runs, but {searches} searches are given"
        raise DropnasError(what, where=SelectionFile.file(select))
    return runs.index(selection.run)


def _weights(config: CorrelationConfig, search: Path) -> list[tuple[float, float]]:
    """Alpha and p of each operation on the configured edge of the normal cell."""
    found = AlphasFile.read(search)
    edge = (config.node, config.predecessor)
    if edge not in edges():
        raise DropnasError(f"no edge from {config.predecessor} to node {config.node}", where=search)
    if missing := [name for name in config.operations if name not in found.operations]:
        raise DropnasError(f"has no alpha of {missing[0]!r}", where=AlphasFile.file(search))
    alphas = found.normal[edges().index(edge)]
    p = softmax(alphas).tolist()
    return [(alphas[at], p[at]) for at in map(found.operations.index, config.operations)]


def _accuracies(folder: Path) -> tuple[float, float]:
    errors = read_training(read_run(folder)).top1
    return 100 - errors.best, 100 - errors.final


def _has_edge(genotype: Genotype, config: CorrelationConfig) -> bool:
    first = EDGES_PER_NODE * (config.node - INPUTS)
    return config.predecessor in [predecessor for _, predecessor in genotype.normal[first : first + EDGES_PER_NODE]]
