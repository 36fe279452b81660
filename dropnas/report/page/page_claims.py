"""The claims as a matrix: in the order of the paper, each with an id that does not change while the claims do not."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dropnas.report.claims import ClaimResult, Found
from dropnas.report.effects import as_claimed
from dropnas.report.page.words import count

SECTION = re.compile(r"Section (\d+)\.(\d+)")
BEYOND = "beyond the paper"


@dataclass(frozen=True)
class PageClaim:
    """A claim with its id (C1 of the paper, B1 beyond it), and what is said of it by whose numbers."""

    id: str
    claim: ClaimResult
    columns: tuple[tuple[str, Found | None], ...]


def page_claims(claims: Sequence[ClaimResult]) -> tuple[list[PageClaim], list[PageClaim]]:
    """The paper's claims in the order of its sections, and those that go beyond it."""
    paper = _in_order([one for one in claims if BEYOND not in one.where])
    beyond = [one for one in claims if BEYOND in one.where]
    return _numbered("C", paper), _numbered("B", beyond)


def direction(found: Found) -> str:
    """How many comparisons point the paper's way, and the smallest difference that could have been found."""
    if not found.effects:
        return ""
    known = [one.detectable for one in found.effects if one.detectable is not None]
    text = f"{as_claimed(found.effects)} of {count(len(found.effects), 'comparison')} point the paper's way."
    if known:
        ends = f"{min(known):.2f}" if len(known) == 1 else f"{min(known):.2f} to {max(known):.2f}"
        text += f" With these n, a true difference of {ends} points would be found in four of five repetitions."
    return text


def _in_order(claims: Sequence[ClaimResult]) -> list[ClaimResult]:
    """By the section of the paper; a claim that names none stays behind the one before it."""
    place, places = (0, 0), {}
    for one in claims:
        if found := SECTION.search(one.where):
            place = int(found[1]), int(found[2])
        places[one.claim] = place
    return sorted(claims, key=lambda one: places[one.claim])


def _numbered(letter: str, claims: Sequence[ClaimResult]) -> list[PageClaim]:
    return [PageClaim(f"{letter}{at}", one, tuple(_columns(one))) for at, one in enumerate(claims, 1)]


def _columns(one: ClaimResult) -> Iterator[tuple[str, Found | None]]:
    yield "Our runs", Found(one.outcome, one.detail, one.effects)
    yield "Final epoch", one.by_final_epoch
    yield "Paper's own numbers", one.by_paper
