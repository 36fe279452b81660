"""The console and the table style of the monitor."""

from functools import partial

from pandas import DataFrame
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

SCREEN_WIDTH = 100  # number of columns if the output is not a terminal
_plain = partial(Console, highlight=False, markup=False, emoji=False)


def console(width: int = SCREEN_WIDTH) -> Console:
    """A console for the terminal or, if the output is not a terminal, a console of the given width."""
    found = _plain()
    return found if found.is_terminal else _plain(width=width)


def show(part: RenderableType, *, raw: bool = False) -> None:
    """Print a part of the output. Text is wrapped only on a terminal; `raw` text is never wrapped."""
    output = console()
    if raw and isinstance(part, str):
        print(part)  # much faster than rich
    else:
        output.print(part, soft_wrap=isinstance(part, str) and not output.is_terminal)


def table(frame: DataFrame, words: str = "", total: str = "") -> Table:
    """A table with row names in its first column. Only column `words` is wrapped. Lines set the row `total` apart."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for at, head in enumerate(frame.columns):
        made.add_column(head, justify="left" if at == 0 or head == words else "right", no_wrap=head != words)
    for name, following, *cells in zip(frame.iloc[:, 0], [*frame.iloc[1:, 0], ""], *frame.T.values, strict=True):
        bold = "bold" if name == total else ""
        made.add_row(*map(str, cells), style=bold, end_section=bool(total) and total in (name, following))
    return made
