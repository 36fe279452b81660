"""Search spaces: the paper's space, its two variants (Section 5.3), and spaces from a user's package.

Design choices: a space consists of the two groups of Section 2.3. The graph of the cell is the same for all spaces. If
a name occurs several times in a group (3-skip), each occurrence is a separate operation with its own alpha. The module
does not import torch, because the plan reads spaces.
"""

from dataclasses import dataclass

from dropnas.errors import DropnasError
from dropnas.extension import is_reference, load
from dropnas.space.names import INPUTS, NON_PARAMETERISED, PARAMETERISED, SKIP, ZERO, check_operation

NODES = 4  # intermediate nodes of a searched cell


@dataclass(frozen=True)
class SearchSpace:
    """The candidate operations of an edge, in their two groups.

    Attributes:
        name: its name in tables and errors.
        parameterised: the group O_p, convolutional operations.
        non_parameterised: the group O_np, all other operations, including zero ("none").

    Raises:
        DropnasError: an operation is unknown, a group is empty, or zero is the only operation.
    """

    name: str
    parameterised: tuple[str, ...]
    non_parameterised: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.operations:
            check_operation(name, f"search space {self.name!r}")
        if not self.parameterised or not self.non_parameterised:
            raise DropnasError(
                "a group has no operation",
                where=f"search space {self.name!r}",
                remedy="give each group at least one, since one of each group is always kept on an edge",
            )
        if set(self.operations) == {ZERO}:
            raise DropnasError("'none' is the only operation", where=f"search space {self.name!r}")

    @property
    def operations(self) -> tuple[str, ...]:
        """All operations of an edge: O_p, then O_np; alphas and the supernet keep this order."""
        return self.parameterised + self.non_parameterised

    @property
    def groups(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The indices into `operations` of O_p and of O_np."""
        border = len(self.parameterised)
        return tuple(range(border)), tuple(range(border, len(self.operations)))


ORIGINAL = SearchSpace("original", PARAMETERISED, NON_PARAMETERISED)
THREE_SKIP = SearchSpace("3-skip", PARAMETERISED, (SKIP, SKIP, SKIP, ZERO))
ONE_SKIP = SearchSpace("1-skip", PARAMETERISED, (SKIP, ZERO))

SPACES: dict[str, SearchSpace] = {space.name: space for space in (ORIGINAL, THREE_SKIP, ONE_SKIP)}


def edges(nodes: int = NODES) -> list[tuple[int, int]]:
    """List the edges (node, predecessor) of a searched cell, in the order of the alphas.

    States 0 and 1 are the cell's inputs, and its nodes start at 2. Each node has an edge from every state before it.
    """
    return [(node, predecessor) for node in range(INPUTS, INPUTS + nodes) for predecessor in range(node)]


EDGES = len(edges())  # 14


def find_space(name: str) -> SearchSpace:
    """Return the space of that name, or the user's space at `package.module:ATTRIBUTE`.

    Raises:
        DropnasError: there is no such space, or the attribute is not a SearchSpace.
    """
    if name in SPACES:
        return SPACES[name]
    if not is_reference(name):
        known = ", ".join(SPACES)
        raise DropnasError(f"unknown search space {name!r}", remedy=f"known: {known}, or package.module:ATTRIBUTE")
    space = load(name)
    if not isinstance(space, SearchSpace):
        raise DropnasError(f"is a {type(space).__name__}, not a SearchSpace", where=name)
    return space
