"""Genotypes as the text that repositories of DARTS' family print."""

from collections import namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.errors import DropnasError
from dropnas.space.genotype import MOST_NODES, Genotype
from dropnas.space.genotype_text import parse_genotype_text, to_genotype_text
from dropnas.space.published import load_genotype, published

PYTHONS = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")


def printed(genotype: Genotype) -> str:
    """The text that DARTS' own code prints."""
    concat = genotype.normal_concat
    return repr(PYTHONS(list(genotype.normal), concat, list(genotype.reduce), genotype.reduce_concat))


@pytest.mark.parametrize("name", published())
def test_every_published_genotype_goes_to_text_and_back(name: str) -> None:
    genotype = published()[name].genotype
    assert parse_genotype_text(to_genotype_text(genotype)) == genotype == parse_genotype_text(printed(genotype))


@given(st.lists(st.tuples(st.sampled_from(["none", "skip_connect"]), st.integers(0, 1)), min_size=2, max_size=2))
def test_python_reads_the_text_as_the_same_values(edges: list[tuple[str, int]]) -> None:
    genotype = Genotype(tuple(edges), (2,), tuple(edges), (2,))
    value = eval(to_genotype_text(genotype), {"Genotype": PYTHONS, "range": range})
    assert (value.normal, list(value.normal_concat)) == (edges, [2])


@pytest.mark.parametrize(
    "text",
    [
        "A = Genotype(normal=[('none', 0), ('none', 1)], normal_concat=range(2, 3), reduce=(('none', 0), ('none', 1)),"
        " reduce_concat=[2])",
        "Genotype([('none', 0), ('none', 1)], list(range(2, 3)), [['none', 0], ['none', 1]], (2,))\n",
        "Genotype (\n  normal=[('none', 0), ('none', 1)], reduce=[('none', 0), ('none', 1)],\n"
        "  normal_concat=(2,), reduce_concat=tuple(range(2, 3)))",
    ],
)
def test_the_forms_in_which_people_write_it(text: str, tmp_path) -> None:
    expected = Genotype((("none", 0), ("none", 1)), (2,), (("none", 0), ("none", 1)), (2,))
    (tmp_path / "cell.txt").write_text(text)
    assert load_genotype(text) == load_genotype(str(tmp_path / "cell.txt")) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Genotype(normal=[", "is not the text of a genotype"),
        ("Genotype(normal=open('x'))", "is not a list, string or whole number"),
        ("Genotype(normal=[('none', 0), ('none', -1)])", "is not a list, string or whole number"),
        ("Genotype(**{'normal': []})", "is not a list, string or whole number|None: unknown key"),
        ("Genotype(normal=[], normal_concat=range(0, 10**9))", "is not a list, string or whole number"),
        ("Genotype(normal=[], normal_concat=range(0, 1000000000))", "is not a range of nodes"),
        ("Genotype(normal=[('none', 0)])", "field required"),
        ("import os; Genotype()", "is not the text of a genotype"),
        ("Genotype(" * 5000, "is not the text of a genotype"),
        ("Genotype(" + " " * 200_000, "characters are too many for a genotype"),
    ],
)
def test_other_text_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        load_genotype(text)
    assert "\n" not in str(raised.value)


def test_a_cell_has_a_largest_size() -> None:
    edges = [["none", 0], ["none", 1]] * (MOST_NODES + 1)
    cell = {"normal": edges, "normal_concat": [2], "reduce": edges, "reduce_concat": [2]}
    with pytest.raises(DropnasError, match="at most 64 nodes"):
        Genotype.of_values(cell, "here")
