"""Options of strategies, checked for name, type and range.

Design choices: the check is written by hand, because a search must run with only torch and a few other packages
installed, and may be started from Python without a parameter file. The module does not import torch, so that `plan` can
use it and start fast.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from dropnas.errors import DropnasError
from dropnas.search.config import Scalar

Options = TypeVar("Options")  # a frozen dataclass
BOUNDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "ge": ("at least", operator.ge),
    "gt": ("above", operator.gt),
    "le": ("at most", operator.le),
    "lt": ("below", operator.lt),
}


def with_options(base: Options, options: Mapping[str, Scalar], where: str) -> Options:
    """Return `base`, a frozen dataclass, with some options replaced; each is checked for name, type and range.

    A field is a `Literal` of words, a bool, an int or a float. The `metadata` of a number may contain bounds: ge,
    gt, le and lt.

    Raises:
        DropnasError: an option is unknown or has a value that it does not accept.
    """
    known = {option.name: option for option in fields(base)}  # type: ignore[arg-type]
    changes: dict[str, Any] = dict(options)
    for name, value in changes.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            raise DropnasError(f"unknown option {name!r}", where=where, remedy=hint if known else "it has none")
        _check(known[name], value, where)
    return replace(base, **changes)  # type: ignore[type-var]


def _check(option: Field[Any], value: Scalar, where: str) -> None:
    words = get_args(option.type)
    if words:
        accepted, takes = value in words, f"one of {', '.join(words)}"
    elif option.type is bool:
        accepted, takes = isinstance(value, bool), "true or false"
    else:
        accepted, takes = _is_number(value, option), _number_taken(option)
    if not accepted:
        raise DropnasError(f"option {option.name!r} takes {takes}, not {value!r}", where=where)


def _is_number(value: Scalar, option: Field[Any]) -> bool:
    kinds = (int,) if option.type is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    return all(BOUNDS[name][1](value, bound) for name, bound in option.metadata.items())


def _number_taken(option: Field[Any]) -> str:
    bounds = [f"{BOUNDS[name][0]} {bound}" for name, bound in option.metadata.items()]
    return " ".join(["a whole number" if option.type is int else "a number", " and ".join(bounds)]).strip()
