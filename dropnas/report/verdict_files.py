"""The verdicts and claims as files next to the tables: Markdown for readers, CSV and JSON for programs.

Design choices: page and files use the same objects, so that they always agree. Each line of the CSV has profile and
reproduction, because single lines are copied from it. Claims, which are not about single numbers, are in the JSON and
the Markdown.
"""

from collections.abc import Sequence
from dataclasses import asdict

import pandas

from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult, Decided, VerdictsFile
from dropnas.report.frame import Frame, TextLine
from dropnas.report.render_markdown import markdown
from dropnas.report.table import NO_REPRODUCTION
from dropnas.report.table_forms import csv

CLAIM_HEADS = ("Claim", "Where", "Our runs", "At the final epoch", "The paper's own numbers")
NUMBER_HEADS = ("Table", "Row", "Column", "Verdict", "Ours", "Paper", "Difference", "95 % interval")
CLAIMS_CAPTION = "What becomes of each claim of the paper, by one and the same test in all three columns."
NUMBERS_CAPTION = (
    "Each number that the paper prints and that runs of this profile stand beside, like against like: the lowest test "
    "error of any epoch. Tests are corrected over a table after Holm."
)


def verdict_texts(verdicts: VerdictsFile) -> dict[str, str]:
    """The content of the files, by their suffix."""
    return {".md": _markdown(verdicts), ".csv": csv(numbers_data(verdicts)), ".json": verdicts.json()}


def numbers_data(verdicts: VerdictsFile) -> pandas.DataFrame:
    """The verdict on each number, with profile and reproduction in every line, because single lines are copied."""
    lines = [
        asdict(one) | {"interval": _joined(one.interval or ()), "runs": _joined(one.runs)} for one in verdicts.numbers
    ]
    frame = pandas.DataFrame(lines, columns=list(CellVerdict.__dataclass_fields__), dtype=object)
    frame.insert(0, "profile", verdicts.profile)
    frame.insert(1, "reproduction", str(verdicts.reproduction).lower())
    return frame


def _joined(values: Sequence[object]) -> str:
    return " ".join(map(str, values))


def _markdown(verdicts: VerdictsFile) -> str:
    claims = _frame(verdicts, "the claims", CLAIMS_CAPTION, CLAIM_HEADS, 2, [_claim(one) for one in verdicts.claims])
    numbers = _frame(
        verdicts, "number by number", NUMBERS_CAPTION, NUMBER_HEADS, 3, [_number(one) for one in verdicts.numbers]
    )
    return markdown(claims) + "\n" + markdown(numbers)


def _frame(
    verdicts: VerdictsFile, what: str, caption: str, heads: Sequence[str], labels: int, lines: Sequence[tuple[str, ...]]
) -> Frame:
    return Frame(
        title=f"Verdicts, {what} (profile: {verdicts.profile})",
        label="verdicts",
        caption=caption,
        warning="" if verdicts.reproduction else NO_REPRODUCTION.format(profile=verdicts.profile),
        header=tuple((head, "") for head in heads),
        labels=labels,
        lines=tuple(TextLine(line) for line in lines),
        provenance="",
        notes=(),
    )


def _claim(one: ClaimResult) -> tuple[str, ...]:
    ours = f"{one.outcome}: {one.detail}"
    return (one.claim, one.where, ours, _decided(one.by_final_epoch), _decided(one.by_paper))


def _decided(found: Decided | None) -> str:
    return f"{found.outcome}: {found.detail}" if found else ""


def _number(one: CellVerdict) -> tuple[str, ...]:
    column = one.column_label if one.kind == "single" else f"{one.column_label} ({one.kind})"
    difference = "" if one.difference is None else f"{one.difference:+.2f}"
    interval = f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}" if one.interval else ""
    return (one.table, one.row_label, column, one.verdict, one.ours_text, one.paper_text, difference, interval)
