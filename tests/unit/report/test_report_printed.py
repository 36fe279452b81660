"""The paper's printed numbers, compared with a second transcription by hand and with the text of the PDF."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.report.printed import Layout, Printed, layouts, parse_printed

PAPER = Path(__file__).parents[3] / "../shared/paper/dropnas.txt"

# Read from the paper by hand, column by column, whereas the data file goes row by row.
BY_HAND = {
    ("table1", "error"): {
        "nasnet-a": "2.65",
        "amoebanet-b": "2.55±0.05",
        "enas": "2.89",
        "darts": "3.00",
        "proxylessnas": "2.08",
        "darts-plus": "2.20 (2.37±0.13)",
        "asap": "2.49±0.04",
        "dropnas": "2.26 (2.58±0.14)",
        "dropnas-augmented": "1.88",
    },
    ("table1", "params"): {"snas": "2.8", "p-darts": "3.4", "pc-darts": "3.6", "dropnas": "4.1"},
    ("table1", "days"): {"amoebanet-b": "3150", "proxylessnas": "4", "stacnas": "0.8", "dropnas": "0.6"},
    ("table2", "error"): {
        "darts": "17.76",
        "stacnas": "15.90 (16.11±0.2)",
        "asap": "15.6",
        "dropnas-augmented": "14.10",
    },
    ("table2", "days"): {"p-darts": "0.3", "darts-plus": "0.5", "dropnas": "0.7"},
    ("table3", "top1"): {"efficientnet-b0": "23.7", "scarletnas": "23.1", "dropnas-cifar100": "23.5"},
    ("table3", "top5"): {"asap": "-", "xnas": "-", "stacnas": "6.4", "dropnas-cifar10": "6.7"},
    ("table3", "params"): {"asap": "-", "proxylessnas": "7.1", "single-path-nas": "-", "dropnas-cifar100": "6.1"},
    ("table3", "days"): {"efficientnet-b0": "-", "darts": "4.0", "single-path-nas": "0.16", "stacnas": "20"},
    ("table4", "one-level-darts"): {"cifar10/3-skip": "3.19±0.18", "cifar100/1-skip": "17.73±0.25"},
    ("table4", "dropnas"): {"cifar10/original": "2.58±0.14", "cifar100/3-skip": "16.97±0.35"},
    ("table5", "3e-5"): {"1e-5": "2.72±0.04", "3e-5": "2.58±0.14", "1e-4": "2.69±0.10"},
    ("table5", "1e-5"): {"3e-5": "2.64±0.11", "1e-4": "2.65±0.07"},
    ("table6", "no-partial-decay"): {"cifar10": "2.71±0.06", "cifar100": "17.62±0.37"},
    ("table6", "no-grouping"): {"cifar10": "2.74±0.11", "cifar100": "17.98±0.33"},
}
# The accuracies of the authors' README for Table 5, as 100 minus the error: rows r_np, columns r_p.
README_TABLE_5 = {
    "1e-5": {"1e-5": 97.40, "3e-5": 97.28, "1e-4": 97.36},
    "3e-5": {"1e-5": 97.36, "3e-5": 97.42, "1e-4": 97.31},
    "1e-4": {"1e-5": 97.35, "3e-5": 97.31, "1e-4": 97.37},
}
MARKED = {
    "table1": {"proxylessnas": "¹", "darts-plus": "²", "dropnas": "³", "dropnas-augmented": "⁴"},
    "table2": {"darts": "¹", "asap": "¹", "darts-plus": "²", "dropnas": "³", "dropnas-augmented": "⁴"},
    "table3": {
        "proxylessnas": "†\N{ASTERISK OPERATOR}",
        "scarletnas": "†\N{ASTERISK OPERATOR}",
        "single-path-nas": "†\N{ASTERISK OPERATOR}",
        "pc-darts": "†",
        "darts-plus": "†",
        "stacnas": "†",
    },
    "table4": {},
    "table6": {},
}


def cell(paper: Layout, row: str, column: str) -> Printed:
    position = [one.key for one in paper.columns].index(column)
    return next(one.cells[position] for one in paper.rows if one.key == row)


@pytest.mark.parametrize(("table", "column"), BY_HAND, ids="-".join)
def test_cells_equal_a_second_transcription(table: str, column: str) -> None:
    found = {row: cell(layouts()[table], row, column).text for row in BY_HAND[table, column]}
    assert found == BY_HAND[table, column]


def test_the_second_transcription_is_large_enough() -> None:
    assert sum(map(len, BY_HAND.values())) >= 25


def test_rows_of_table_5_are_the_non_parameterised_group() -> None:
    paper = layouts()["table5"]
    found = {row: {column: cell(paper, row, column).mean for column in README_TABLE_5} for row in README_TABLE_5}
    expected = {
        row: {key: round(100 - value, 2) for key, value in rows.items()} for row, rows in README_TABLE_5.items()
    }
    assert found == expected
    assert paper.heads[0][0] == r"O_np \ O_p"


@pytest.mark.parametrize("table", MARKED)
def test_marks_are_at_the_rows_that_the_caption_mentions(table: str) -> None:
    marks = {row.key: re.search("[¹²³⁴†\N{ASTERISK OPERATOR}]*$", row.heads[-1]) for row in layouts()[table].rows}
    assert {key: match[0] for key, match in marks.items() if match and match[0]} == MARKED[table]


def test_shape_of_the_tables() -> None:
    shapes = {name: (len(paper.rows), len(paper.columns)) for name, paper in layouts().items()}
    expected = {
        "table1": (13, 3),
        "table2": (7, 3),
        "table3": (15, 4),
        "table4": (6, 2),
        "table5": (3, 3),
        "table6": (2, 4),
    }
    assert shapes == expected
    assert [paper.number for paper in layouts().values()] == [1, 2, 3, 4, 5, 6]


def squeezed(text: str) -> str:
    """Text in the form of the PDF extraction: without white space, hyphens and lost glyphs."""
    raised = str.maketrans("¹²³⁴⁵†", "12345y", "⁻\N{ASTERISK OPERATOR}\N{MULTIPLICATION SIGN}±_-")
    return re.sub(r"\s", "", text.translate(raised)).replace(":", ".").replace(";", ",")


@pytest.mark.skipif(not PAPER.is_file(), reason="the paper's text is not beside the checkout")
@pytest.mark.parametrize("table", list(layouts()))
def test_every_row_and_caption_is_in_the_text_of_the_pdf(table: str) -> None:
    text = squeezed(PAPER.read_text(encoding="utf-8", errors="replace"))
    paper = layouts()[table]
    missing = [
        row.key for row in paper.rows if squeezed(row.heads[-1] + "".join(c.text for c in row.cells)) not in text
    ]
    assert missing == []
    assert squeezed(f"Table {paper.number}. {paper.caption}") in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-", (None, None, None)),
        ("1800", (1800.0, None, None)),
        ("2.55±0.05", (2.55, 0.05, None)),
        ("2.26 (2.58±0.14)", (2.58, 0.14, 2.26)),
    ],
)
def test_numbers_are_read_from_the_printed_text(text: str, expected: tuple[float | None, ...]) -> None:
    printed = parse_printed(text)
    assert (printed.mean, printed.std, printed.best) == expected


@given(mean=st.decimals(0, 99, places=2), std=st.decimals(0, 9, places=2), best=st.decimals(0, 99, places=2))
def test_reading_is_the_inverse_of_printing(mean: float, std: float, best: float) -> None:
    printed = parse_printed(f"{best} ({mean}±{std})")
    assert (printed.best, printed.mean, printed.std) == (float(best), float(mean), float(std))


@pytest.mark.parametrize("slip", ["", "2.26(2.58±0.14)", "2,26", "2.65 ", "±0.1", "2.5±", "nan", "2:26"])
def test_a_misprint_is_refused(slip: str) -> None:
    with pytest.raises(ValueError, match="not a printed number"):
        parse_printed(slip)


def test_a_row_with_a_missing_cell_is_refused() -> None:
    paper = layouts()["table6"]
    with pytest.raises(ValueError, match="table6, row cifar10: 4 cells"):
        Layout(**{**vars(paper), "columns": paper.columns[:3]})
