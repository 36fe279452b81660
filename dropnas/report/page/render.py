"""Renders the content of the page as one self-contained HTML file.

Design choices: the template engine is jinja2 with autoescape. The long tables of the evidence become sortable when they
are opened (DataTables, from the package itables); without scripts they are plain tables. Styles, script, pictures and
all numbers are inside the file, and a content security policy forbids every request. The page therefore needs no other
file and no network.
"""

import base64
from importlib.metadata import distribution, version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dropnas.report import looked
from dropnas.report.compare_results import COMPARISON_HEADS, answer, texts
from dropnas.report.page import phrases
from dropnas.report.page.complete import cell_label
from dropnas.report.page.contents import Contents
from dropnas.report.page.tables import LINKED, anchor
from dropnas.report.printed import title
from dropnas.report.verdicts import p_text
from dropnas.space.genotype_text import cell_in_words

TEMPLATES = Path(__file__).with_name("templates")
FUNCTIONS = (phrases.points, phrases.interval, phrases.count, anchor, cell_in_words, cell_label, p_text, title)
VERDICT_WORDS = ("agrees", "differs", "undecided", "too few runs", "not comparable")
NUMBER_KINDS = {"mean": "", "best": "best of 8", "single": "single"}


def render(contents: Contents, fingerprint: str) -> str:
    """Render the whole page.

    Args:
        contents: the content of the page.
        fingerprint: the fingerprint of the page's sources, which is stored in the page.
    """
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {one.__name__: one for one in FUNCTIONS}
    environment.globals |= {
        "signs": phrases.STATE_SIGNS,
        "verdict_words": VERDICT_WORDS,
        "kinds": NUMBER_KINDS,
        "linked": LINKED,
    }
    environment.globals |= {"looked": looked, "compared": {"heads": COMPARISON_HEADS, "answer": answer, "texts": texts}}
    environment.globals |= {"version": version("dropnas")}
    style, script = ((TEMPLATES / f"page.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js"))
    itables = distribution("itables")
    return environment.get_template("page.html.j2").render(
        page=contents,
        fingerprint=fingerprint,
        style=style,
        script=script,
        numbers=_inside(contents.data.to_json(orient="split", index=False, double_precision=15)),
        verdicts=_inside(contents.verdicts.json()),
        copies={table.name: table.copies for table in (*contents.tables, *contents.others)},
        datatables=_data_uri(Path(str(itables.locate_file("itables/html/dt_bundle.js")))),
        itables=itables.version,
    )


def _inside(json: str) -> str:
    """Escape JSON so that it cannot end the element that contains it."""
    return json.replace("<", "\\u003c")


def _data_uri(script: Path) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(script.read_bytes()).decode()}"
