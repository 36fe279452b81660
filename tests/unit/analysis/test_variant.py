"""A genotype with another operation on one edge: the rest is unchanged, and a missing edge replaces the weaker one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.analysis import variant
from dropnas.analysis.config import VariantConfig
from dropnas.errors import DropnasError
from dropnas.space.genotype import Genotype
from dropnas.workspace import Workspace

CONCAT = (2, 3, 4, 5)
NORMAL = (
    *(("sep_conv_3x3", 0), ("skip_connect", 1)),
    *(("dil_conv_3x3", 2), ("max_pool_3x3", 0)),
    *(("sep_conv_5x5", 1), ("skip_connect", 0)),
    *(("avg_pool_3x3", 4), ("sep_conv_3x3", 3)),
)
REDUCE = (("max_pool_3x3", 0), ("max_pool_3x3", 1)) * 4
GENOTYPE = Genotype(NORMAL, CONCAT, REDUCE, (3, 4, 5))
OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
EDGES = [(node, predecessor) for node in range(2, 6) for predecessor in range(node)]


@given(st.sampled_from(EDGES), st.sampled_from(OPERATIONS))
def test_only_the_edge_changes(edge: tuple[int, int], operation: str) -> None:
    node, predecessor = edge
    made, was_there = variant.with_operation(GENOTYPE, node, predecessor, operation)
    assert (made.normal_concat, made.reduce, made.reduce_concat) == (CONCAT, REDUCE, (3, 4, 5))
    changed = [at for at, (one, other) in enumerate(zip(made.normal, NORMAL, strict=True)) if one != other]
    assert len(changed) <= 1 and all(at // 2 == node - 2 for at in changed)
    before, after = NORMAL[2 * node - 4 : 2 * node - 2], made.normal[2 * node - 4 : 2 * node - 2]
    assert was_there == (predecessor in [p for _, p in before])
    assert after.count((operation, predecessor)) == 1
    if not was_there:
        assert after == (before[0], (operation, predecessor))


def test_an_edge_that_is_there_keeps_its_place() -> None:
    made, was_there = variant.with_operation(GENOTYPE, 2, 0, "dil_conv_5x5")
    assert was_there and made.normal[:2] == (("dil_conv_5x5", 0), ("skip_connect", 1))


def test_an_absent_edge_replaces_the_second_of_its_node() -> None:
    made, was_there = variant.with_operation(GENOTYPE, 4, 3, "sep_conv_3x3")
    assert not was_there and made.normal[4:6] == (("sep_conv_5x5", 1), ("sep_conv_3x3", 3))


def test_variants_of_an_edge_differ_in_its_operation_alone() -> None:
    made = [variant.with_operation(GENOTYPE, 5, 0, operation)[0] for operation in OPERATIONS]
    assert {one.normal[:7] for one in made} == {NORMAL[:7]}
    assert [one.normal[7] for one in made] == [(operation, 0) for operation in OPERATIONS]


@pytest.mark.parametrize(
    ("node", "predecessor", "operation", "message"),
    [
        (6, 0, "sep_conv_3x3", "has no node 6"),
        (1, 0, "sep_conv_3x3", "has no node 1"),
        (4, 4, "sep_conv_3x3", "comes from 4, which does not come before it"),
        (4, -1, "sep_conv_3x3", "comes from -1, which does not come before it"),
        (2, 0, "sep_conv_9x9", "unknown operation 'sep_conv_9x9'"),
    ],
)
def test_an_impossible_variant_is_one_line(node: int, predecessor: int, operation: str, message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        variant.with_operation(GENOTYPE, node, predecessor, operation)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("node", "predecessor", "was_there"), [(2, 0, True), (5, 0, False)])
def test_the_stage_records_whether_the_edge_existed(
    tmp_path: Path, node: int, predecessor: int, was_there: bool
) -> None:
    chosen, out = tmp_path / "best-of-8-0123456789", tmp_path / "out"
    chosen.mkdir()
    out.mkdir()
    (chosen / "genotype.json").write_text(json.dumps(GENOTYPE.values()))
    config = VariantConfig(node, predecessor, "dil_conv_3x3")
    assert variant.run(config, [chosen], out, Workspace(tmp_path / "scratch", "id")) == {}
    expected = variant.with_operation(GENOTYPE, node, predecessor, "dil_conv_3x3")
    assert Genotype.read(out) == expected[0]
    written = json.loads((out / "variant.json").read_text())
    assert written == {"from": "best-of-8-0123456789", "edge_was_there": was_there}


def test_a_run_without_a_genotype_is_named(tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="no such file"):
        variant.run(VariantConfig(2, 0, "sep_conv_3x3"), [tmp_path], tmp_path, Workspace(tmp_path / "s", "id"))
