"""Formats the verdicts and claims for files next to the tables: Markdown for readers, CSV and JSON for programs.

Design choices: the results page and these files are made from the same objects, so that they always agree. Each line of
the CSV has the columns `profile` and `reproduction`, because single lines are copied from the file. Claims are left out
of the CSV, which has one line for each number.
"""

from pandas import DataFrame

from dropnas.artifacts.verdicts_file import CellVerdict, ClaimResult, VerdictsFile
from dropnas.report.frame import csv, tidy, titled
from dropnas.report.table import warning

CLAIM_HEADS = ("Claim", "Where", "Our runs", "At the final epoch", "The paper's own numbers")
NUMBER_HEADS = ("Table", "Row", "Column", "Verdict", "Ours", "Paper", "Difference", "95 % interval")
CLAIMS_CAPTION = "The outcome of each of the paper's claims. All three columns use the same test."
NUMBERS_CAPTION = (
    "Each printed number for which this profile has runs. Errors on both sides are the lowest test error of any epoch. "
    "Tests are corrected over a table by Holm's method."
)


def verdict_texts(verdicts: VerdictsFile) -> dict[str, str]:
    """The content of each file, by suffix."""
    profile, caution = verdicts.profile, warning(verdicts.profile, verdicts.reproduction)
    claims = DataFrame(map(_claim, verdicts.claims), columns=CLAIM_HEADS, dtype=object)
    numbers = DataFrame(map(_number, verdicts.numbers), columns=NUMBER_HEADS, dtype=object)
    parts = (("the claims", claims, CLAIMS_CAPTION), ("number by number", numbers, NUMBERS_CAPTION))
    bold = f"**{caution}**" if caution else ""
    texts = [titled(f"Verdicts, {what} (profile: {profile})", table, text, bold) for what, table, text in parts]
    return {".md": "\n\n".join(texts) + "\n", ".csv": csv(_data(verdicts)), ".json": verdicts.json()}


def _data(verdicts: VerdictsFile) -> DataFrame:
    """The rows of the CSV, one for each number, with the columns `profile` and `reproduction`."""
    frame = tidy(verdicts.numbers, CellVerdict, {"interval": " ", "runs": " "})
    frame.insert(0, "profile", verdicts.profile)
    frame.insert(1, "reproduction", str(verdicts.reproduction).lower())
    return frame


def _claim(one: ClaimResult) -> tuple[str, ...]:
    decided = (one, one.by_final_epoch, one.by_paper)
    return (one.claim, one.where, *(f"{found.outcome}: {found.detail}" if found else "" for found in decided))


def _number(one: CellVerdict) -> tuple[str, ...]:
    column = one.column_label if one.kind == "single" else f"{one.column_label} ({one.kind})"
    difference = "" if one.difference is None else f"{one.difference:+.2f}"
    interval = f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}" if one.interval else ""
    return (one.table, one.row_label, column, one.verdict, one.ours_text, one.paper_text, difference, interval)
