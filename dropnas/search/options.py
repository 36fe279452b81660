"""Options of grouped dropout, checked for name, type and range.

Design choices: the check is written here, by hand, since a search must run where only torch and its like are
installed and may be started from Python without a parameter file; no torch, so that a plan can be checked too.
"""

from collections.abc import Mapping
from dataclasses import Field, fields, replace
from difflib import get_close_matches
from typing import Any, get_args

from dropnas.errors import DropnasError
from dropnas.search.config import DropoutOptions, Scalar


def with_options(base: DropoutOptions, options: Mapping[str, Scalar], where: str) -> DropoutOptions:
    """The base with some options replaced, each checked for name, type and range.

    Raises:
        DropnasError: an unknown option or a value that it does not take.
    """
    known = {option.name: option for option in fields(base)}
    changes: dict[str, Any] = dict(options)
    for name, value in changes.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            raise DropnasError(f"unknown option {name!r}", where=where, remedy=hint)
        _check(known[name], value, where)
    return replace(base, **changes)


def _check(option: Field[Scalar], value: Scalar, where: str) -> None:
    """Options are rates in [0, 1) or one of a few words."""
    words = get_args(option.type)
    if words:
        accepted, takes = value in words, f"one of {', '.join(words)}"
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        accepted, takes = number and 0 <= float(value) < 1, "a number from 0 to below 1"
    if not accepted:
        raise DropnasError(f"option {option.name!r} takes {takes}, not {value!r}", where=where)
