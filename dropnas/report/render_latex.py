"""Renders a table as LaTeX, for `\\input` in a document that loads the packages booktabs and graphicx.

Design choices: a table wider than the text is scaled down, because columns of numbers cannot be wrapped. Numbers are
aligned to the right. The header is the paper's, with shared headers above their columns. Unicode becomes LaTeX
commands, so that the file is plain ASCII for any encoding (except a user's own labels).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from dropnas.report.frame import Frame

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
MARKS = {"\N{DAGGER}": r"\dagger ", "\N{ASTERISK OPERATOR}": r"\ast "}
RAISED = re.compile(f"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻{''.join(MARKS)}]+")
NUMBER = re.compile(r"[-+(\[]*\d|-$")
OPENING = re.compile(r"(?<![^\s(])'")
GROUP = re.compile(r"O\\_(n?p)\b")
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
}
SYMBOLS = {
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
}


def latex(frame: Frame) -> str:
    """Render the whole file: a table environment with caption, warning, table and notes."""
    columns = frame.header
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(frame.caption)}}}",
        rf"\label{{tab:{_identifier(frame.label)}}}",
        *([rf"\textbf{{{escaped(frame.warning)}}}\par\medskip"] if frame.warning else []),
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{''.join(_alignment(frame, column) for column in range(len(columns)))}}}",
        r"\toprule",
        *_header(columns),
        r"\midrule",
        *_body(frame),
        r"\bottomrule",
        r"\end{tabular}}",
        rf"\par\medskip\footnotesize {' '.join(map(escaped, filter(None, (frame.provenance, *frame.notes))))}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _alignment(frame: Frame, column: int) -> str:
    """The alignment of a column: right for numbers, left for words."""
    texts = [text for line in frame.lines if (text := line.texts[column])]
    return "r" if texts and all(map(NUMBER.match, texts)) else "l"


def escaped(text: str) -> str:
    """Text as LaTeX: special characters, superscripts, the two operation groups, symbols."""
    text = "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))
    text = OPENING.sub("`", text)
    text = GROUP.sub(r"$\\mathcal{O}_{\1}$", text)
    text = RAISED.sub(_raised, text)
    return "".join(SYMBOLS.get(character, character) for character in text)


def _raised(match: re.Match[str]) -> str:
    marks = "".join(MARKS.get(character, character) for character in match[0].translate(SUPERSCRIPTS))
    return f"$^{{{marks.strip()}}}$"


def _identifier(text: str) -> str:
    return re.sub("[^A-Za-z0-9-]+", "-", text)


def _header(columns: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """The one or two lines of the header; adjacent columns with the same first line share it."""
    spans = [(top, len(list(group))) for top, group in groupby(top for top, _ in columns)]
    yield _row(_span(top, length) for top, length in spans)
    yield from _rules(spans)
    if any(bottom for _, bottom in columns):
        yield _row(escaped(bottom) for _, bottom in columns)


def _span(text: str, length: int) -> str:
    return escaped(text) if length == 1 else rf"\multicolumn{{{length}}}{{c}}{{{escaped(text)}}}"


def _rules(spans: list[tuple[str, int]]) -> Iterator[str]:
    first = 1
    for _, length in spans:
        if length > 1:
            yield rf"\cmidrule(lr){{{first}-{first + length - 1}}}"
        first += length


def _body(frame: Frame) -> Iterator[str]:
    """The lines of the body; the first of several label columns is printed only if it changes, as in the paper."""
    told = ""
    for line in frame.lines:
        if line.rule:
            yield r"\midrule"
        first, *rest = line.texts
        repeated = frame.labels > 1 and first == told
        told = first or told
        yield _row(map(escaped, ("" if repeated else first, *rest)))


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
