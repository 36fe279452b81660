"""Differences between printed and computed numbers of parameters, with the reason if it is known.

Design choices: a reason is given only if it was published, or can be computed here. For other differences, only the
size is reported.
"""

ROUNDING = 0.05  # the paper prints one decimal of millions
SLACK = 1e-9

NO_REASON = "no reason known"
LOGGER = (
    "the release's logger counted the auxiliary tower and divided by 2^20, which gives {released}; the field counts "
    "neither"
)
THIRD_PARTY = "its authors published no genotype, and this third-party transcription does not have the printed size"
EXCITATION = (
    "the paper says 'SE module' and neither its place nor its size; no usual placement gives both 5.7M and 6.1M"
)
REASONS = {
    ("enas_figure", "table1"): "a third-party transcription of a figure, which differs from the cell of the release",
    ("snas_mild", "table3"): "the printed value is that of the cell with the moderate constraint (4.313M)",
    ("darts_plus_c10_third_party", "table1"): THIRD_PARTY,
    ("darts_plus_c100_third_party", "table2"): THIRD_PARTY,
    ("asap", "table2"): "the printed value is the count with 10 classes, as in Table 1 (2.540M)",
    ("xnas", "table3"): (
        "its authors' network has 46 channels after a stem of 56, and squeeze-and-excitation in the first two thirds: "
        "5,258,564 parameters"
    ),
    ("dropnas_c10", "table1"): LOGGER.format(released="4.116"),
    ("dropnas_c100", "table2"): LOGGER.format(released="4.350"),
    ("dropnas_c10", "table3"): EXCITATION,
    ("dropnas_c100", "table3"): EXCITATION,
}


def remark(architecture: str, table: str, parameters: int, printed: float | None) -> str:
    """A remark on a printed number of parameters; empty if it equals the computed one up to rounding.

    Args:
        architecture: a published id.
        table: the table that prints the number.
        parameters: the computed number.
        printed: the printed number in units of 10^6, or None.
    """
    if printed is None:
        return "the paper prints no number of parameters"
    difference = parameters / 1e6 - printed
    if abs(difference) <= ROUNDING + SLACK:
        return ""
    reason = REASONS.get((architecture, table), NO_REASON)
    return f"computed {difference:+.2f}M against the printed {printed}M: {reason}"
