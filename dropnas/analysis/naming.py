"""Distinct names for the operations of a space: the space 3-skip has three skip-connects, each with its own alpha."""

from collections import Counter
from collections.abc import Sequence


def numbered(operations: Sequence[str]) -> list[str]:
    """Number the names that occur more than once (`skip_connect 1`, `skip_connect 2`), keeping the order."""
    several = {name for name, count in Counter(operations).items() if count > 1}
    seen: Counter[str] = Counter()
    names = []
    for name in operations:
        seen[name] += 1
        names.append(f"{name} {seen[name]}" if name in several else name)
    return names
