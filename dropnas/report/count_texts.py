"""The counts of the published architectures as Markdown, CSV and LaTeX."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas

from dropnas.artifacts.counts_file import Counted
from dropnas.report.frame import Frame, TextLine, csv, markdown, numbered
from dropnas.report.render_latex import latex

HEADER = (
    *(("Table", ""), ("Architecture", ""), ("Cell", "")),
    *(("Parameters", "printed (M)"), ("Parameters", "computed (M)"), ("Parameters", "as released (2²⁰)")),
    *(("Multiply-adds", "(M)"), ("Excitation", "(M)"), ("Remarks", "")),
)
PRINTED = ("test_error", "top1", "top5", "params_m", "gpu_days")  # keys of published.yaml
CAPTION = "Parameters and multiply-adds of the published architectures that Tables 1-3 quote, beside the printed ones."
COUNTING = (
    "Computed: in 10⁶, auxiliary tower left out, in the paper's networks: 20 cells of 36 channels (Tables 1 and 2), 14 "
    "cells of 48 channels on images of 224 pixels (Table 3). 'as released' is in 2²⁰ with the tower, as the release's "
    "logger counted. Multiply-adds are those of convolutions and linear layers for one image."
)
EXCITATION = (
    "Squeeze-and-excitation is in the three counts of DropNAS in Table 3 and of no other; 'Excitation' is what it has, "
    "or would add, in the form in which Table 3 is trained here."
)
POOL_NORM = (
    "Batch norm after pooling is counted, as released; it has at most 0.02M parameters and moves no printed digit."
)
NO_POOL_NORM = "There is no batch norm after pooling."


def count_texts(rows: Sequence[Counted], pool_norm: bool) -> dict[str, str]:
    """The contents of the files, by suffix; the paper's printed numbers have their own columns in the CSV."""
    texts = frame(rows, pool_norm)
    counts = pandas.DataFrame([asdict(row) for row in rows]).drop(columns="printed")
    printed = pandas.DataFrame([row.printed for row in rows], columns=PRINTED, dtype=object).add_prefix("printed_")
    return {"md": markdown(texts), "csv": csv(pandas.concat([counts, printed], axis="columns")), "tex": latex(texts)}


def frame(rows: Sequence[Counted], pool_norm: bool) -> Frame:
    """The table that Markdown, LaTeX and the page show."""
    numbers, remarks = numbered([[row.remark] if row.remark else [] for row in rows])
    return Frame(
        title="Published architectures",
        label="architectures",
        caption=CAPTION,
        header=HEADER,
        labels=3,
        lines=tuple(
            TextLine((*_texts(row), number), rule=before is not None and before.table != row.table)
            for before, row, number in zip([None, *rows], rows, numbers, strict=False)
        ),
        notes=(COUNTING, EXCITATION, POOL_NORM if pool_norm else NO_POOL_NORM, *remarks),
    )


def _texts(row: Counted) -> tuple[str, ...]:
    printed = row.printed["params_m"]
    return (
        row.table.replace("table", "Table "),
        row.name.partition(" (")[0],  # the id has the rest
        row.architecture,
        "-" if printed is None else str(printed),
        f"{row.parameters / 1e6:.3f}",
        f"{row.as_released:.3f}",
        f"{row.multiply_adds / 1e6:.1f}",
        f"{row.excitation_parameters / 1e6:.3f}" if row.excitation_parameters else "-",
    )
