"""The verdicts and claims as files next to the tables: Markdown for readers, CSV and JSON for programs.

Design choices: page and files use the same objects, so that they always agree. Each line of the CSV has profile and
reproduction, because single lines are copied from it. Claims, which are not about single numbers, are in the JSON and
the Markdown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

import pandas

from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult, VerdictsFile
from dropnas.report.frame import Frame, TextLine, csv, markdown
from dropnas.report.table import warning

CLAIM_HEADS = ("Claim", "Where", "Our runs", "At the final epoch", "The paper's own numbers")
NUMBER_HEADS = ("Table", "Row", "Column", "Verdict", "Ours", "Paper", "Difference", "95 % interval")
CLAIMS_CAPTION = "What becomes of each claim of the paper, by one and the same test in all three columns."
NUMBERS_CAPTION = (
    "Each number that the paper prints and that runs of this profile stand beside, like against like: the lowest test "
    "error of any epoch. Tests are corrected over a table after Holm."
)


def verdict_texts(verdicts: VerdictsFile) -> dict[str, str]:
    """The content of the files, by their suffix."""
    parts = (
        ("the claims", CLAIMS_CAPTION, CLAIM_HEADS, map(_claim, verdicts.claims)),
        ("number by number", NUMBERS_CAPTION, NUMBER_HEADS, map(_number, verdicts.numbers)),
    )
    text = "\n".join(_markdown(verdicts, *part) for part in parts)
    return {".md": text, ".csv": csv(_data(verdicts)), ".json": verdicts.json()}


def _data(verdicts: VerdictsFile) -> pandas.DataFrame:
    """A line for each number, with profile and reproduction."""
    names = [field.name for field in fields(CellVerdict)]
    frame = pandas.DataFrame([asdict(one) for one in verdicts.numbers], columns=names, dtype=object)
    for name in ("interval", "runs"):
        frame[name] = [" ".join(map(str, values or ())) for values in frame[name]]
    frame.insert(0, "profile", verdicts.profile)
    frame.insert(1, "reproduction", str(verdicts.reproduction).lower())
    return frame


def _markdown(
    verdicts: VerdictsFile, what: str, caption: str, heads: Sequence[str], lines: Iterable[tuple[str, ...]]
) -> str:
    frame = Frame(
        title=f"Verdicts, {what} (profile: {verdicts.profile})",
        caption=caption,
        warning=warning(verdicts.profile, verdicts.reproduction),
        header=tuple((head, "") for head in heads),
        labels=0,
        lines=tuple(map(TextLine, lines)),
    )
    return markdown(frame)


def _claim(one: ClaimResult) -> tuple[str, ...]:
    decided = (one, one.by_final_epoch, one.by_paper)
    return (one.claim, one.where, *(f"{found.outcome}: {found.detail}" if found else "" for found in decided))


def _number(one: CellVerdict) -> tuple[str, ...]:
    column = one.column_label if one.kind == "single" else f"{one.column_label} ({one.kind})"
    difference = "" if one.difference is None else f"{one.difference:+.2f}"
    interval = f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}" if one.interval else ""
    return (one.table, one.row_label, column, one.verdict, one.ours_text, one.paper_text, difference, interval)
