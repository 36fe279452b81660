"""Genotypes: valid ones, errors for others, and the ways to name one."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dropnas.errors import DropnasError
from dropnas.space.genotype import Genotype
from dropnas.space.names import OPERATION_NAMES
from dropnas.space.published import load_genotype, published

SHARED = Path(__file__).parents[3] / "../shared/paper/published_genotypes.yaml"

VALID: dict[str, list] = {
    "normal": [["sep_conv_3x3", 0], ["skip_connect", 1], ["max_pool_3x3", 0], ["none", 2]],
    "normal_concat": [2, 3],
    "reduce": [["dil_conv_5x5", 1], ["avg_pool_3x3", 1]],
    "reduce_concat": [2],
}


@st.composite
def cells(draw):
    nodes = draw(st.integers(1, 6))
    edges = [
        [draw(st.sampled_from(OPERATION_NAMES)), draw(st.integers(0, node - 1))]
        for node in range(2, 2 + nodes)
        for _ in range(2)
    ]
    concat = draw(st.lists(st.integers(2, 1 + nodes), min_size=1, unique=True))
    return edges, concat


@given(cells(), cells())
def test_any_valid_genotype_survives_json(normal, reduce):
    value = {"normal": normal[0], "normal_concat": normal[1], "reduce": reduce[0], "reduce_concat": reduce[1]}
    assert Genotype.of_text(json.dumps(value), "here").values() == value


def changed(**fields):
    return json.dumps({**VALID, **fields})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(normal=[["sep_conv_3x4", 0], ["none", 0]]), "normal cell: unknown operation 'sep_conv_3x4'; did you"),
        (changed(normal=[["lstm", 0], ["none", 0]]), "known: sep_conv_3x3, sep_conv_5x5"),
        (changed(normal=[["none", 0], ["none", 2]]), "node 2 comes from 2, which does not come before"),
        (changed(reduce=[["none", 0], ["none", -1]]), "reduce cell: edge 1 .* from -1"),
        (changed(normal=VALID["normal"][:3]), "normal cell: 3 edges; each node has exactly two"),
        (changed(reduce=[]), "reduce cell: 0 edges"),
        (changed(normal_concat=[2, 4]), r"normal_concat: output \[2, 4\] .* nodes 2 to 3"),
        (changed(normal_concat=[2, 2]), "normal_concat"),
        (changed(normal_concat=[]), "normal_concat"),
        (changed(normal_concat=[1]), "normal_concat"),
        (changed(normal_concat="23"), "normal_concat: input should be a valid array, not .23."),
        (changed(normal_concat=[True]), "normal_concat.0: input should be a valid integer, not true"),
        (changed(reduce={"a": 1}), "reduce: input should be a valid array, not "),
        (
            changed(reduce=[["none", 0, 0]]),
            r"reduce\.0: tuple should have at most 2 items",
        ),
        (changed(reduce=[["none", 1.0], ["none", 0]]), r"reduce\.0\.1: input should be a valid integer, not 1\.0"),
        (changed(extra=1), "extra: unknown key"),
        (json.dumps({"normal": VALID["normal"]}), "normal_concat: field required"),
        ("[1, 2]", "the file: input should be an object"),
        ("{'normal': 1}", r"cannot be read as JSON \(.* line 1 column 2 "),
    ],
)
def test_a_wrong_genotype_is_one_clear_line(text, message, tmp_path):
    with pytest.raises(DropnasError, match=message) as typed:
        load_genotype(text)
    assert "\n" not in str(typed.value)
    (tmp_path / "genotype.json").write_text(text)
    with pytest.raises(DropnasError, match=message) as read:
        Genotype.read(tmp_path)
    assert str(read.value).startswith(str(tmp_path / "genotype.json"))


def test_an_invalid_genotype_cannot_be_made_in_code_either():
    with pytest.raises(DropnasError, match="does not come before"):
        Genotype((("none", 0), ("none", 7)), (2,), (("none", 0), ("none", 0)), (2,))


def test_an_operation_of_a_users_package_is_a_valid_name_and_not_imported():
    genotype = Genotype.of_text(changed(reduce=[["absent.package:OPERATION", 0], ["none", 0]]), "here")
    assert genotype.reduce[0] == ("absent.package:OPERATION", 0)


def test_a_genotype_is_named_by_id_json_file_or_run_folder(tmp_path):
    expected = Genotype.of_text(json.dumps(VALID), "here")
    file = tmp_path / "genotype.json"
    file.write_text(json.dumps(VALID))
    assert load_genotype(json.dumps(VALID)) == load_genotype(str(file)) == load_genotype(str(tmp_path)) == expected
    assert load_genotype("darts_v2").normal[0] == ("sep_conv_3x3", 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dropnas_c11", "unknown genotype 'dropnas_c11'.*did you mean .*dropnas_c10"),
        ("darts", "did you mean darts_v"),
        ("?", "known ids: nasnet_a, amoebanet_a"),
        ("", "unknown genotype ''"),
        ("x" * 5000, "unknown genotype"),
    ],
)
def test_an_unknown_genotype_gets_suggestions(text, message):
    with pytest.raises(DropnasError, match=message):
        load_genotype(text)


def test_a_folder_without_a_genotype_and_a_file_that_is_no_text(tmp_path):
    with pytest.raises(DropnasError, match=r"genotype\.json: no such file"):
        load_genotype(str(tmp_path))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DropnasError, match="cannot be read"):
        load_genotype(str(tmp_path / "bytes"))


def test_the_published_facts_are_those_of_the_source():
    if not SHARED.exists():
        pytest.skip("the shared list of published genotypes is absent")
    entries = yaml.safe_load(SHARED.read_text())["architectures"]
    expected = {entry["id"]: entry for entry in entries if "genotype" in entry}
    assert set(published()) == set(expected)
    for known in published().values():
        entry = expected[known.id]
        assert known.genotype.values() == entry["genotype"]
        assert (known.name, known.paper_rows) == (entry["name"], entry["paper_rows"])


def test_nasnet_has_five_nodes_and_puts_out_three_in_its_reduction():
    genotype = load_genotype("nasnet_a")
    assert len(genotype.normal) == len(genotype.reduce) == 10
    assert genotype.reduce_concat == (4, 5, 6)
    assert genotype.normal[6:8] == (("avg_pool_3x3", 0), ("avg_pool_3x3", 0))  # both edges from one input
