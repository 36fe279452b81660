"""Search spaces: those of the paper, and which of a user's spaces are rejected."""

import pytest

from dropnas.errors import DropnasError
from dropnas.space.names import OPERATION_NAMES
from dropnas.space.operations import OPERATIONS
from dropnas.space.spaces import EDGES, NODES, ONE_SKIP, ORIGINAL, SPACES, THREE_SKIP, SearchSpace, edges, find_space


def test_the_original_space_has_the_eight_operations_in_the_order_of_the_design():
    assert ORIGINAL.operations == (
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "none",
    )
    assert ORIGINAL.groups == ((0, 1, 2, 3), (4, 5, 6, 7))


def test_the_variants_differ_in_the_parameter_free_group_only():
    assert THREE_SKIP.non_parameterised == ("skip_connect",) * 3 + ("none",)
    assert ONE_SKIP.non_parameterised == ("skip_connect", "none")
    assert ONE_SKIP.groups == ((0, 1, 2, 3), (4, 5))
    assert {space.parameterised for space in SPACES.values()} == {ORIGINAL.parameterised}


def test_edges_are_ordered_by_node_and_then_predecessor():
    assert edges(2) == [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    assert len(edges(NODES)) == EDGES == 14


def test_every_name_has_an_operation_and_every_operation_a_name():
    assert tuple(OPERATIONS) == OPERATION_NAMES


@pytest.mark.parametrize("name", ["original", "3-skip", "1-skip"])
def test_a_space_is_found_by_its_name(name):
    assert find_space(name).name == name


def test_a_users_space_is_found_by_reference(tmp_path, monkeypatch):
    (tmp_path / "own_space.py").write_text(
        "from dropnas.space.spaces import SearchSpace\n"
        "TINY = SearchSpace('tiny', ('sep_conv_3x3', 'own_space:operation'), ('none',))\n"
        "NUMBER = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_space("own_space:TINY").operations == ("sep_conv_3x3", "own_space:operation", "none")
    with pytest.raises(DropnasError, match="own_space:NUMBER: is a int, not a SearchSpace"):
        find_space("own_space:NUMBER")
    with pytest.raises(DropnasError, match="no 'MISSING'"):
        find_space("own_space:MISSING")


@pytest.mark.parametrize(
    ("parameterised", "non_parameterised", "message"),
    [
        (("sep_conv_9x9",), ("none",), "unknown operation 'sep_conv_9x9'; did you mean 'sep_conv_7x7'"),
        ((), ("none",), "a group has no operation"),
        (("none",), ("none",), "'none' is the only operation"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(parameterised, non_parameterised, message):
    with pytest.raises(DropnasError, match=message):
        SearchSpace("mine", parameterised, non_parameterised)


def test_an_unknown_space_lists_the_known_ones():
    with pytest.raises(DropnasError, match=r"unknown search space 'orginal'; known: original, 3-skip, 1-skip"):
        find_space("orginal")
