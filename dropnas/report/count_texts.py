"""The parameters and multiply-adds of the published architectures as Markdown, CSV and LaTeX."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas

from dropnas.artifacts.counts_file import Counted
from dropnas.report.frame import Frame, TextLine, csv, markdown, numbered, wording
from dropnas.report.render_latex import latex

HEADER = (
    *(("Table", ""), ("Architecture", ""), ("Cell", "")),
    *(("Parameters", "printed (M)"), ("Parameters", "computed (M)"), ("Parameters", "as released (2²⁰)")),
    *(("Multiply-adds", "(M)"), ("Excitation", "(M)"), ("Remarks", "")),
)
PRINTED_KEYS = ("test_error", "top1", "top5", "params_m", "gpu_days")  # keys of published.yaml


def count_texts(rows: Sequence[Counted], pool_norm: bool) -> dict[str, str]:
    """The contents of the files, by suffix; the paper's printed numbers have their own columns in the CSV."""
    texts = frame(rows, pool_norm)
    counts = pandas.DataFrame([asdict(row) for row in rows]).drop(columns="printed")
    printed = pandas.DataFrame([row.printed for row in rows], columns=PRINTED_KEYS, dtype=object).add_prefix("printed_")
    return {"md": markdown(texts), "csv": csv(pandas.concat([counts, printed], axis="columns")), "tex": latex(texts)}


def frame(rows: Sequence[Counted], pool_norm: bool) -> Frame:
    """The table that Markdown, LaTeX and the page show."""
    words = wording("architectures")
    numbers, remarks = numbered({at: [row.remark] if row.remark else [] for at, row in enumerate(rows)})
    return Frame(
        title="Published architectures",
        label="architectures",
        caption=words["caption"],
        header=HEADER,
        labels=3,
        lines=tuple(
            TextLine((*_texts(row), numbers[at]), rule=at > 0 and rows[at - 1].table != row.table)
            for at, row in enumerate(rows)
        ),
        notes=(words["counting"], words["excitation"], words["pool-norm" if pool_norm else "no-pool-norm"], *remarks),
    )


def _texts(row: Counted) -> tuple[str, ...]:
    printed = row.printed["params_m"]
    return (
        row.table.replace("table", "Table "),
        row.name.partition(" (")[0],  # without the part in parentheses, which the id in the next column replaces
        row.architecture,
        "-" if printed is None else str(printed),
        f"{row.parameters / 1e6:.3f}",
        f"{row.as_released:.3f}",
        f"{row.multiply_adds / 1e6:.1f}",
        f"{row.excitation_parameters / 1e6:.3f}" if row.excitation_parameters else "-",
    )
