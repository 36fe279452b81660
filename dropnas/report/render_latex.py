"""Renders a table as LaTeX, for `\\input` in a document that loads the packages booktabs and graphicx.

Design choices: a table wider than the text is scaled down, because columns of numbers cannot be wrapped. Numbers are
aligned to the right. The header is that of the paper, where a shared header spans its columns. Unicode becomes LaTeX
commands, so that the file is ASCII except for a user's own labels.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from dropnas.report.frame import Frame

COMMANDS = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
        **{"<": "$<$", ">": "$>$", "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$"},
        "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
    }
)
LOWERED = {
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)),
    **{"\N{DAGGER}": r"\dagger ", "\N{ASTERISK OPERATOR}": r"\ast "},
}
RAISED = re.compile(f"[{''.join(LOWERED)}]+")
NUMERIC_CELL = re.compile(r"[-+(\[]*\d|-$")
OPENING = re.compile(r"(?<![^\s(])'")
GROUP = re.compile(r"O\\_(n?p)\b")


def latex(frame: Frame) -> str:
    """Render the whole file: a table environment with caption, warning, table and notes."""
    notes = (frame.provenance, *frame.notes)
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(frame.caption)}}}",
        rf"\label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', frame.label)}}}",
        *([rf"\textbf{{{escaped(frame.warning)}}}\par\medskip"] if frame.warning else []),
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{''.join(_alignment(frame, column) for column in range(len(frame.header)))}}}",
        r"\toprule",
        *_header(frame.header),
        r"\midrule",
        *_body(frame),
        r"\bottomrule",
        r"\end{tabular}}",
        rf"\par\medskip\footnotesize {' '.join(map(escaped, filter(None, notes)))}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Translate special characters, symbols, superscripts and the names of the operation groups to LaTeX."""
    text = OPENING.sub("`", " ".join(text.split()).translate(COMMANDS))
    return RAISED.sub(_raised, GROUP.sub(r"$\\mathcal{O}_{\1}$", text))


def _raised(match: re.Match[str]) -> str:
    return f"$^{{{''.join(LOWERED[character] for character in match[0]).strip()}}}$"


def _alignment(frame: Frame, column: int) -> str:
    """The alignment of a column: right for numbers, left for words."""
    texts = [text for line in frame.lines if (text := line.texts[column])]
    return "r" if texts and all(map(NUMERIC_CELL.match, texts)) else "l"


def _header(columns: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """The one or two lines of the header; adjacent columns with the same first line share it."""
    cells, rules, first = [], [], 1
    for top, group in groupby(escaped(top) for top, _ in columns):
        length = len(list(group))
        cells.append(top if length == 1 else rf"\multicolumn{{{length}}}{{c}}{{{top}}}")
        rules += [rf"\cmidrule(lr){{{first}-{first + length - 1}}}"] if length > 1 else []
        first += length
    yield from (_row(cells), *rules)
    if any(bottom for _, bottom in columns):
        yield _row(escaped(bottom) for _, bottom in columns)


def _body(frame: Frame) -> Iterator[str]:
    """The lines of the body. If rows have several labels, the first is printed only if it changes, as in the paper."""
    printed = ""
    for line in frame.lines:
        if line.rule:
            yield r"\midrule"
        first, *rest = line.texts
        repeated = frame.labels > 1 and first == printed
        printed = first or printed
        yield _row(map(escaped, ("" if repeated else first, *rest)))


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
