"""Symbols and short phrases for the page. Every outcome has both a word and a symbol, so that no colour is needed."""

from collections.abc import Iterable, Sequence

STATE_SIGNS = {
    **{"agrees": "=", "differs": "≠", "undecided": "?", "too few runs": "…", "not comparable": "·"},  # of numbers
    **{"holds": "✓", "contradicted": "✕"},  # of claims
    **{"done": "✓", "running": "…", "missing": "○", "excluded": "✕"},  # of runs
}


def points(value: float | None) -> str:
    """Format a difference with its sign; empty for None."""
    return "" if value is None else f"{value:+z.2f}".replace("-", "\N{MINUS SIGN}")


def interval(ends: Sequence[float] | None) -> str:
    """Format the limits of an interval."""
    return " to ".join(map(points, ends)) if ends else ""


def count(number: int, noun: str) -> str:
    """Format a number with its noun: "1 run", "1,044 runs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(parts: Iterable[str]) -> str:
    """Join the items of a list for use in a sentence: "a, b and c"."""
    *others, last = [*parts] or [""]
    return f"{', '.join(others)} and {last}" if others else last
