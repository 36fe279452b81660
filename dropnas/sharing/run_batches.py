"""Many runs, a few at a time: what is sent or fetched together, and lost together when a push or pull is killed."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive parts of at most `size` items. (itertools.batched is there from Python 3.12 on.)"""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
