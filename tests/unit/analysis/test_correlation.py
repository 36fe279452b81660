"""The correlation stage: coefficients against their formulas, and its use of the inputs."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, t

from dropnas.analysis.config import CorrelationConfig
from dropnas.analysis.correlation import UNDEFINED, pearson, run, spearman
from dropnas.artifacts.correlation_file import Coefficient
from dropnas.errors import DropnasError
from dropnas.space.names import ZERO
from dropnas.space.spaces import EDGES, ORIGINAL, edges
from dropnas.workspace import Workspace

OPERATIONS = tuple(name for name in ORIGINAL.operations if name != ZERO)
ERRORS = (2.4, 2.3, 2.6, 2.5, 2.9, 2.8, 2.7)
NUMBERS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=4, max_size=12)


def write(folder: Path, name: str, content: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def receipt(folder: Path, stage: str) -> None:
    write(folder, "run.json", {"stage": stage, "device": "GPU", "seconds": 1.0, "inputs": ["digits-0123456789"]})


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    """A selection between two candidates, their searches, and the seven retrainings."""
    cell = [["sep_conv_3x3", 0], ["skip_connect", 1]] * 3 + [["dil_conv_5x5", 4], ["skip_connect", 1]]
    genotype = {"normal": cell, "normal_concat": [2, 3, 4, 5], "reduce": cell, "reduce_concat": [2, 3, 4, 5]}
    best = tmp_path / "best"
    write(best, "genotype.json", genotype)
    candidates = [{"run": name, "top1_error_final": 3.0, "top1_error_best": 2.5} for name in ("train-a", "train-b")]
    write(best, "selection.json", {"run": "train-b", "criterion": "best", "candidates": candidates})
    searches = [tmp_path / "search-a", tmp_path / "search-b"]
    for seed, folder in enumerate(searches):
        draws = np.random.default_rng(seed)
        matrices = {kind: draws.normal(size=(EDGES, 8)).tolist() for kind in ("normal", "reduce")}
        write(folder, "alphas.json", {"operations": ORIGINAL.operations, **matrices})
    trained = [tmp_path / f"variant-{name}" for name in OPERATIONS]
    for folder, error in zip(trained, ERRORS, strict=True):
        receipt(folder, "retrain")
        errors = {"final": error + 0.1, "best": error, "best_epoch": 3}
        counts = dict.fromkeys(("parameters", "parameters_with_auxiliary", "multiply_adds"), 9)
        counts |= {"epochs": 3, "classes": 10, "test_images": 9}
        write(folder, "result.json", {"top1_error": errors, "top5_error": None, **counts})
        write(folder, "genotype.json", genotype)
    return [best, *searches, *trained]


def correlate(inputs: list[Path], node: int, predecessor: int) -> dict[str, Any]:
    out = inputs[0].parent / f"out-{node}-{predecessor}"
    out.mkdir()
    run(CorrelationConfig(node, predecessor, OPERATIONS), inputs, out, Workspace(out, "identity"))
    content: dict[str, Any] = json.loads((out / "correlation.json").read_text())
    return content


def test_p_is_the_softmax_over_all_operations_of_the_chosen_search(inputs: list[Path]) -> None:
    found = correlate(inputs, 5, 4)
    assert found["edge"] == [4, 5] and found["search"] == "search-b" and found["n"] == 7
    alphas = json.loads((inputs[2] / "alphas.json").read_text())["normal"][edges().index((5, 4))]
    total = sum(math.exp(alpha) for alpha in alphas)  # including zero's
    for place, (one, error) in enumerate(zip(found["operations"], ERRORS, strict=True)):
        assert one["operation"] == OPERATIONS[place] and one["run"] == f"variant-{OPERATIONS[place]}"
        assert one["alpha"] == alphas[place] and one["p"] == pytest.approx(math.exp(alphas[place]) / total)
        assert one["accuracy_best"] == pytest.approx(100 - error)
        assert one["accuracy_final"] == pytest.approx(99.9 - error)
    p, accuracy = ([one[key] for one in found["operations"]] for key in ("p", "accuracy_best"))
    assert found["pearson"]["value"] == pytest.approx(np.corrcoef(p, accuracy)[0, 1])


def test_whether_the_edge_is_in_the_best_cell(inputs: list[Path]) -> None:
    assert correlate(inputs, 5, 4)["edge_was_there"] and correlate(inputs, 2, 0)["edge_was_there"]
    assert not correlate(inputs, 5, 3)["edge_was_there"]


@settings(deadline=None, derandomize=True, max_examples=50)
@given(NUMBERS)
def test_coefficients_follow_their_formulas(pairs: list[tuple[int, int]]) -> None:
    x, y = ([float(pair[axis]) for pair in pairs] for axis in (0, 1))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert pearson(x, y) == spearman(x, y) == UNDEFINED
        return
    n = len(x)
    ranks = [rankdata(values) for values in (x, y)]
    for found, (a, b), variance in (
        (pearson(x, y), (x, y), lambda r: 1 / (n - 3)),
        (spearman(x, y), ranks, lambda r: (1 + r**2 / 2) / (n - 3)),
    ):
        r = float(np.corrcoef(a, b)[0, 1])
        assert found.value == pytest.approx(r, abs=1e-9)
        if abs(r) < 1 - 1e-9:
            half = 1.959963984540054 * math.sqrt(variance(r))
            ends = [math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)]
            assert [found.low, found.high] == pytest.approx(ends, abs=1e-6)
    r = float(np.corrcoef(x, y)[0, 1])
    if abs(r) < 1 - 1e-9:
        probability = 2 * t.sf(abs(r) * math.sqrt((n - 2) / (1 - r**2)), n - 2)
        assert pearson(x, y).p_value == pytest.approx(probability, abs=1e-6)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.permutations(range(7)), st.sampled_from([(0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 2, 4, 5, 5)]))
def test_spearmans_p_value_counts_all_orders(order: list[int], ranks: tuple[int, ...]) -> None:
    """Twice the smaller one-sided p-value, counted over the 5,040 orders of seven points."""
    every = np.array(list(itertools.permutations(rankdata(order)))) @ rankdata(ranks)
    own = rankdata(order) @ rankdata(ranks)
    expected = min(1.0, 2 * min((every >= own - 1e-9).mean(), (every <= own + 1e-9).mean()))
    assert spearman([float(one) for one in order], ranks).p_value == pytest.approx(expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_correlation_has_no_interval(sign: int) -> None:
    """Fisher's z is infinite there; an interval of width zero would claim certainty."""
    x = [1.0, 2, 3, 4, 5, 6, 7]
    assert spearman(x, [sign * value**3 for value in x]) == Coefficient(sign, None, None, pytest.approx(2 / 5040))
    found = pearson(x, [sign * 0.3 * value + 0.1 for value in x])
    assert (found.value, found.low, found.high) == (sign, None, None)


def test_too_few_values_are_undefined() -> None:
    assert pearson([1, 2, 3], [1, 2, 4]) == UNDEFINED


def test_what_does_not_fit_is_named(inputs: list[Path]) -> None:
    config = CorrelationConfig(2, 0, OPERATIONS)
    workspace = Workspace(inputs[0], "identity")
    with pytest.raises(DropnasError, match="chose among 2 runs, but 1 searches"):
        run(config, [inputs[0], *inputs[2:]], inputs[0], workspace)
    with pytest.raises(DropnasError, match="no alpha of 'sep_conv_7x7'"):
        run(CorrelationConfig(2, 0, (*OPERATIONS[:6], "sep_conv_7x7")), inputs, inputs[0], workspace)
    with pytest.raises(DropnasError, match="no edge from 3 to node 2"):
        run(CorrelationConfig(2, 3, OPERATIONS), inputs, inputs[0], workspace)
    write(inputs[0], "selection.json", {"run": "another", "criterion": "best", "candidates": []})
    with pytest.raises(DropnasError, match="'another' is not a candidate"):
        run(config, inputs, inputs[0], workspace)
