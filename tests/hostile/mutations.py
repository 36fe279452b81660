"""Changes to files: hypothesis strategies that change bytes, JSON values, and the names in a folder."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**70, 1e308, -0.5, "", "0", "NaN", "../..", "a\0b", "\ud800", "x" * 5000),
    *([], {}, [[]], [None], {"": None}, {"a": {"a": {"a": []}}}),
)
Change = Callable[[Path], object]


def _cut(size: float) -> Change:
    return lambda file: file.write_bytes(file.read_bytes()[: int(len(file.read_bytes()) * size)])


def _flip(at: float, bit: int) -> Change:
    def change(file: Path) -> None:
        content = bytearray(file.read_bytes())
        if content:
            content[int(at * len(content))] ^= 1 << bit
            file.write_bytes(content)

    return change


def _insert(at: float, more: bytes) -> Change:
    def change(file: Path) -> None:
        content = file.read_bytes()
        place = int(at * len(content))
        file.write_bytes(content[:place] + more + content[place:])

    return change


def _replaced(make: Callable[[Path], object]) -> Change:
    def change(file: Path) -> None:
        file.unlink()
        make(file)

    return change


def _nested(depth: int) -> Change:
    return lambda file: file.write_text("[" * depth + "]" * depth)


parts = st.floats(0, 1, exclude_max=True)
of_text: st.SearchStrategy[Change] = st.one_of(
    st.builds(_cut, parts),
    st.builds(_flip, parts, st.integers(0, 7)),
    st.builds(_insert, parts, st.binary(min_size=1, max_size=64)),
    st.builds(_nested, st.sampled_from([1, 500, 100_000])),
    st.sampled_from(
        [
            _replaced(lambda file: file.symlink_to("/dev/null")),
            _replaced(lambda file: file.symlink_to(file.name)),
            _replaced(Path.mkdir),
            _replaced(lambda file: None),
        ]
    ),
)
of_bytes = st.one_of(of_text, st.just(_replaced(os.mkfifo)))  # not for files that a user names: these may be pipes


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value within nested values."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(place for key, item in inner for place in places(item, (*before, key)))]


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The values with the one at a path replaced; a path that no longer exists changes nothing."""
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = put(copy[place[0]], place[1:], new)
    return copy


def without(value: Any, place: tuple[Any, ...]) -> Any:
    """The values without the one at a path."""
    if not place:
        return None
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1:
        del copy[place[0]]
    else:
        copy[place[0]] = without(copy[place[0]], place[1:])
    return copy


@st.composite
def of_values(draw: st.DrawFn, value: Any) -> Any:
    """Values in which one was replaced by an unusual value or by a neighbour, or removed, or a key was added."""
    place = draw(st.sampled_from(places(value)))
    how = draw(st.sampled_from(["odd", "odd", "neighbour", "removed", "added"]))
    if how == "removed":
        return without(value, place)
    at = value
    for key in place:
        at = at[key]
    if how == "neighbour":
        other = value
        for key in draw(st.sampled_from(places(value))):
            other = other[key]
        return put(value, place, other)
    if how == "added" and isinstance(at, dict):
        return put(
            value, place, {**at, draw(st.sampled_from(["more", "", "id", "__class__"])): draw(st.sampled_from(ODD))}
        )
    near: tuple[Any, ...] = (at + 1, -at, at * 1e6) if isinstance(at, int | float) else ()
    return put(value, place, draw(st.sampled_from([*ODD, *near])))


@st.composite
def of_json(draw: st.DrawFn, content: bytes) -> bytes:
    """The text of a JSON file with changed values."""
    changed = draw(of_values(json.loads(content)))
    return json.dumps(changed, indent=2, sort_keys=True).encode("utf-8", "surrogatepass")


def swap(one: Path, other: Path) -> None:
    """Swap the names of two folders."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def replace(one: Path, other: Path) -> None:
    """Replace a folder by a copy of another one."""
    shutil.rmtree(one)
    shutil.copytree(other, one)
