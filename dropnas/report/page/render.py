"""Renders the content of the page as one self-contained HTML file.

Design choices: the template engine is jinja2 with autoescape. The long tables of the evidence become sortable once they
are opened (DataTables, from the package itables); without scripts they are plain tables. Styles, script, pictures and
all numbers are inside the file, and a content security policy forbids every request. The file therefore looks the same
on any machine, for ever.
"""

import base64
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dropnas.artifacts.verdicts_file import Decided
from dropnas.errors import DropnasError
from dropnas.report.page.compare_section import KINDS, description
from dropnas.report.page.contents import Contents
from dropnas.report.page.evidence_tables import link
from dropnas.report.page.phrases import SIGNS, count, interval, points
from dropnas.report.page.tables import anchor
from dropnas.report.page.write import REMEDY
from dropnas.report.printed import title
from dropnas.report.verdicts import p_text

TEMPLATES = Path(__file__).with_name("templates")


def render(contents: Contents, fingerprint: str) -> str:
    """Render the whole page.

    Args:
        contents: the content of the page.
        fingerprint: fingerprint of the page's sources; it is stored in the page, so that an unchanged page is not made
            again.

    Raises:
        DropnasError: itables is not installed.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = (points, interval, count, direction, description, anchor, link, p_text, title)
    environment.globals |= {"signs": SIGNS, "kinds": KINDS, "version": version("dropnas")}
    environment.globals |= {one.__name__: one for one in functions}
    itables, datatables = _datatables()
    style, script = ((TEMPLATES / f"page.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js"))
    return environment.get_template("page.html.j2").render(
        page=contents,
        fingerprint=fingerprint,
        style=style,
        script=script,
        numbers=_inside(contents.data.to_json(orient="split", index=False, double_precision=15)),
        verdicts=_inside(contents.verdicts.json()),
        copies={table.name: table.copies for table in (*contents.tables, *contents.others)},
        datatables=datatables,
        itables=itables,
    )


def direction(found: Decided) -> str:
    """State how many comparisons agree with the paper in sign, and the smallest detectable difference."""
    if not found.comparisons:
        return ""
    same, smallest = sum(one.effect > 0 for one in found.comparisons), [one.smallest for one in found.comparisons]
    ends = f"{min(smallest):.2f}" if len(smallest) == 1 else f"{min(smallest):.2f} to {max(smallest):.2f}"
    return (
        f"{same} of {count(len(smallest), 'comparison')} in the paper's direction. "
        f"With these n, a true difference of {ends} points would be found in four of five repetitions."
    )


def _inside(json: str) -> str:
    """Escape JSON so that it cannot end the element that contains it."""
    return json.replace("<", "\\u003c")


def _datatables() -> tuple[str, str]:
    """The version of itables, and its bundle of DataTables as a data URI; the bundle imports nothing."""
    try:
        found = distribution("itables")
        script = Path(str(found.locate_file("itables/html/dt_bundle.js"))).read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise DropnasError("itables is not installed", remedy=REMEDY) from error
    return found.version, f"data:text/javascript;base64,{base64.b64encode(script).decode()}"
