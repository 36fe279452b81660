"""From what the page says to one HTML file that needs nothing else.

Design choices: jinja2 with autoescape sets it; DataTables, from the package itables, makes the tables sortable, and
without scripts they are plain tables. Styles, script and pictures lie inside, and a content security policy forbids
every request, so that the file says the same on any machine, for ever.
"""

import base64
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.report.page.contents import Contents
from dropnas.report.page.judgements import SIGNS
from dropnas.report.page.numbers import identity
from dropnas.report.printed import title

TEMPLATES = Path(__file__).with_name("templates")
REMEDY = "make setup, or pip install 'dropnas[report]'"


def render(contents: Contents, fingerprint: str) -> str:
    """The whole page.

    Args:
        contents: what it says.
        fingerprint: of what it was made from; kept in the page, so that an unchanged one is not made again.

    Raises:
        DropnasError: jinja2 or itables is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise DropnasError("jinja2 is not installed", remedy=REMEDY) from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"signs": SIGNS, "title": title, "identity": identity}
    version, script = _datatables()
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    template = environment.get_template("page.html.j2")
    return template.render(page=contents, fingerprint=fingerprint, style=style, datatables=script, itables=version)


def _datatables() -> tuple[str, str]:
    """The version of itables and its bundle of DataTables, a module that imports nothing, as a data URI."""
    try:
        found = distribution("itables")
        script = Path(str(found.locate_file("itables/html/dt_bundle.js"))).read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise DropnasError("itables is not installed", remedy=REMEDY) from error
    return found.version, f"data:text/javascript;base64,{base64.b64encode(script).decode()}"
