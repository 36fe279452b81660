"""The claims as a matrix: in the order of the paper, each with an id that stays and a permalink."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dropnas.report.claims import ClaimResult, Found
from dropnas.report.page.phrases import count

BEYOND = "beyond the paper"


@dataclass(frozen=True)
class PageClaim:
    """A claim with its number (C1 of the paper, B1 beyond it), and what is said of it by whose numbers."""

    number: str
    claim: ClaimResult
    columns: tuple[tuple[str, Found | None], ...]


def page_claims(claims: Sequence[ClaimResult]) -> tuple[list[PageClaim], list[PageClaim]]:
    """The paper's claims, in its order, and those that go beyond it."""
    beyond = [one for one in claims if BEYOND in one.where]
    return _numbered("C", [one for one in claims if BEYOND not in one.where]), _numbered("B", beyond)


def direction(found: Found) -> str:
    """How many comparisons point the paper's way, and the smallest difference that could have been found."""
    if not found.comparisons:
        return ""
    same, smallest = sum(one.effect > 0 for one in found.comparisons), [one.smallest for one in found.comparisons]
    ends = f"{min(smallest):.2f}" if len(smallest) == 1 else f"{min(smallest):.2f} to {max(smallest):.2f}"
    return (
        f"{same} of {count(len(smallest), 'comparison')} point the paper's way. With these n, a true difference of "
        f"{ends} points would be found in four of five repetitions."
    )


def _numbered(letter: str, claims: Sequence[ClaimResult]) -> list[PageClaim]:
    return [PageClaim(f"{letter}{at}", one, tuple(_columns(one))) for at, one in enumerate(claims, 1)]


def _columns(one: ClaimResult) -> Iterator[tuple[str, Found | None]]:
    yield "Our runs", Found(one.outcome, one.detail, one.comparisons)
    yield "Final epoch", one.by_final_epoch
    yield "Paper's own numbers", one.by_paper
