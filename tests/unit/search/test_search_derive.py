"""Derivation, compared with a search over all choices; its files and its errors."""

import json
import math
from pathlib import Path

import plain_dropnas as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropnas.errors import DropnasError
from dropnas.search.config import DeriveConfig
from dropnas.search.derive import run
from dropnas.space.derivation import best_operation, genotype, is_same
from dropnas.space.genotype import Genotype
from dropnas.space.published import published
from dropnas.workspace import Workspace

SPACES = [plain.ORIGINAL, plain.THREE_SKIP, plain.ONE_SKIP, ("none", "dil_conv_5x5", "skip_connect")]
COARSE = st.integers(-2, 2).map(float)  # many ties
FINE = st.floats(-3, 3).map(lambda value: round(value, 6))


def matrices(
    values: st.SearchStrategy[float],
) -> st.SearchStrategy[tuple[tuple[str, ...], list[list[float]]]]:
    def of(operations: tuple[str, ...]) -> st.SearchStrategy[tuple[tuple[str, ...], list[list[float]]]]:
        row = st.lists(values, min_size=len(operations), max_size=len(operations))
        return st.tuples(st.just(operations), st.lists(row, min_size=14, max_size=14))

    return st.sampled_from(SPACES).flatmap(of)


def pairs(edges: tuple[tuple[str, int], ...]) -> list[list[tuple[str, int]]]:
    return [list(edges[start : start + 2]) for start in range(0, 8, 2)]


def softmax(row: list[float]) -> list[float]:
    total = math.fsum(math.exp(a) for a in row)
    return [math.exp(a) / total for a in row]


@given(matrices(COARSE | FINE))
@settings(max_examples=60, deadline=None)
def test_raw_alphas_give_the_best_of_all_choices(case: tuple[tuple[str, ...], list[list[float]]]) -> None:
    operations, alphas = case
    found = genotype(operations, alphas, alphas[::-1], DeriveConfig())
    assert pairs(found.normal) == plain.best_cell(alphas, operations)
    assert pairs(found.reduce) == plain.best_cell(alphas[::-1], operations)


@given(matrices(FINE))
@settings(max_examples=60, deadline=None)
def test_probabilities_give_the_best_of_all_choices(case: tuple[tuple[str, ...], list[list[float]]]) -> None:
    operations, alphas = case
    found = genotype(operations, alphas, alphas, DeriveConfig(score="probability"))
    scores = [softmax(row) for row in alphas]
    cells = zip((2, 3, 4, 5), pairs(found.normal), plain.best_cell(scores, operations), strict=True)
    for node, ours, best in cells:
        assert len({source for _, source in ours}) == 2
        # equal probabilities may differ in their last bit, so only their values must agree
        values = [[score_of(scores, operations, node, edge) for edge in choice] for choice in (ours, best)]
        assert values[0] == pytest.approx(values[1], rel=1e-12)


def score_of(scores: list[list[float]], operations: tuple[str, ...], node: int, edge: tuple[str, int]) -> float:
    row = scores[plain.EDGE_LIST.index((node, edge[1]))]
    return max(score for score, name in zip(row, operations, strict=True) if name == edge[0])


def test_the_zero_operation_is_never_chosen_but_counts_in_the_probability() -> None:
    operations = ("sep_conv_3x3", "none")
    rows = [[1.0, 5.0], [0.5, -5.0]] + [[0.0, 0.0]] * 12
    assert best_operation(operations, rows[0], DeriveConfig()) == (1.0, "sep_conv_3x3")
    by_alpha = genotype(operations, rows, rows, DeriveConfig())
    by_probability = genotype(operations, rows, rows, DeriveConfig(score="probability"))
    assert by_alpha.normal[0] == ("sep_conv_3x3", 0)
    assert by_probability.normal[0] == ("sep_conv_3x3", 1)


def test_ties_go_to_the_lower_index() -> None:
    zeros = [[0.0] * 8] * 14
    found = genotype(plain.ORIGINAL, zeros, zeros, DeriveConfig())
    assert found.normal == (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)) * 4


def test_summed_skips_add_their_probabilities() -> None:
    row = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    separate = best_operation(plain.THREE_SKIP, row, DeriveConfig())
    assert separate == (0.5, "sep_conv_3x3")
    p = softmax(row)
    score, name = best_operation(plain.THREE_SKIP, row, DeriveConfig(score="probability", skips="summed"))
    assert name == "skip_connect" and score == pytest.approx(sum(p[4:7]), abs=1e-15)
    score, name = best_operation(plain.THREE_SKIP, row, DeriveConfig(skips="summed"))
    assert name == "skip_connect" and score == pytest.approx(math.log(3), abs=1e-15)


@given(matrices(FINE))
@settings(max_examples=20, deadline=None)
def test_summing_changes_nothing_if_no_operation_occurs_twice(
    case: tuple[tuple[str, ...], list[list[float]]],
) -> None:
    operations, alphas = case
    if len(set(operations)) == len(operations):
        for score in ("alpha", "probability"):
            summed = genotype(operations, alphas, alphas, DeriveConfig(score=score, skips="summed"))
            assert summed == genotype(operations, alphas, alphas, DeriveConfig(score=score))


def test_the_order_of_a_nodes_edges_does_not_matter() -> None:
    edges = (("sep_conv_3x3", 0), ("skip_connect", 1)) * 4
    swapped = (("skip_connect", 1), ("sep_conv_3x3", 0), *edges[2:])
    other = (("skip_connect", 0), ("sep_conv_3x3", 1), *edges[2:])
    concat = (2, 3, 4, 5)
    first, second, third = (Genotype(e, concat, edges, concat) for e in (edges, swapped, other))
    assert is_same(first, second) and not is_same(first, third)


def write_alphas(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [[0.1 * ((3 * edge + 5 * index) % 7) for index in range(8)] for edge in range(14)]
    content = {"operations": list(plain.ORIGINAL), "normal": rows, "reduce": rows[::-1]} | changes
    (folder / "alphas.json").write_text(json.dumps(content))
    return folder


def test_the_stage_writes_the_chosen_genotype_and_both(tmp_path: Path) -> None:
    search = write_alphas(tmp_path / "search")
    config = DeriveConfig(score="probability")
    assert run(config, [search], tmp_path, Workspace(tmp_path, "id")) == {}
    derivation = json.loads((tmp_path / "derivation.json").read_text())
    chosen = json.loads((tmp_path / "genotype.json").read_text())
    assert chosen == derivation["probability"] and derivation["score"] == "probability"
    by_alpha, by_probability = (Genotype.of_values(derivation[score], score) for score in ("alpha", "probability"))
    assert derivation["equal"] == is_same(by_alpha, by_probability)


@pytest.mark.parametrize(
    "changes",
    [
        {"normal": [[0.0] * 8] * 13},
        {"reduce": [[0.0] * 7] * 14},
        {"normal": [[math.nan] * 8] * 14},
        {"normal": "alphas"},
        {"operations": None},
    ],
)
def test_damaged_alphas_are_named_in_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    search = write_alphas(tmp_path / "search", **changes)
    with pytest.raises(DropnasError, match=r"alphas\.json") as raised:
        run(DeriveConfig(), [search], tmp_path, Workspace(tmp_path, "id"))
    assert "\n" not in str(raised.value)


def test_missing_alphas_are_named(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match=r"alphas\.json"):
        run(DeriveConfig(), [tmp_path], tmp_path, Workspace(tmp_path, "id"))


def test_the_genotype_of_a_method_with_a_rule_of_its_own_is_taken(tmp_path: Path) -> None:
    search, out = write_alphas(tmp_path / "search"), tmp_path / "out"
    out.mkdir()
    own = published()["darts_v2"].genotype
    (search / "genotype.json").write_text(json.dumps(own.values()))
    run(DeriveConfig(), [search], out, Workspace(tmp_path, "id"))
    assert Genotype.read(out) == own
    derivation = json.loads((out / "derivation.json").read_text())
    assert derivation["rule"] == "strategy" and derivation["alpha"] != own.values()
