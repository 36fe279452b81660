"""Checks the values that a strategy's hooks return, so that a wrong type is reported in one line."""

from typing import Any, TypeVar

from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.search.architecture import ALPHAS
from dropnas.search.state import Tensors
from dropnas.space.spaces import EDGES, SearchSpace
from dropnas.training.optimisers import SGD, Adam, Optimiser

Hook = TypeVar("Hook")


def returned(found: Any, kind: type[Hook], hook: str, strategy: str) -> Hook:
    """Return the result of a hook after checking its type.

    Raises:
        DropnasError: the result has the wrong type.
    """
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise _wrong(hook, type(found).__name__, strategy, f"{kind.__name__} is needed")
    return found


def returned_tensors(found: Any, hook: str, strategy: str) -> Tensors:
    """Like `returned`, for a dict of tensors by name."""
    tensors: dict[Any, Any] = returned(found, dict, hook, strategy)
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise _wrong(hook, f"{type(value).__name__} as {name!r}", strategy, "tensors by their names are needed")
    return tensors


def returned_architecture(found: Any, space: SearchSpace, strategy: str) -> Tensors:
    """Like `returned`, for architecture parameters; their alphas must have the shape of the space."""
    tensors, wanted = returned_tensors(found, "architecture", strategy), (2, EDGES, len(space.operations))
    alphas = tensors.get(ALPHAS)
    if alphas is None or alphas.shape != wanted:
        what = "no alphas" if alphas is None else f"alphas {tuple(alphas.shape)}"
        needed = f"{ALPHAS!r} {wanted} are needed, by kinds of cells, edges and operations"
        raise _wrong("architecture", what, strategy, needed)
    return tensors


def returned_optimisers(found: Any, strategy: str) -> tuple[SGD, Adam]:
    """Like `returned`, for the two optimisers."""
    pair: Any = found if isinstance(found, tuple | list) else (found,)
    if len(pair) != 2 or not all(isinstance(each, Optimiser) for each in pair):
        names = ", ".join(type(each).__name__ for each in pair)
        needed = "two of dropnas.training.optimisers are needed: of w, and of the architecture parameters"
        raise _wrong("optimisers", f"({names})", strategy, needed)
    return tuple(pair)


def _wrong(hook: str, found: str, strategy: str, remedy: str) -> DropnasError:
    return DropnasError(f"{hook} returns {found}", where=strategy, remedy=remedy)
