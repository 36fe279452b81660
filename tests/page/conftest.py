"""A real browser, headless, and pages for it: the whole paper with made-up numbers, and a half-finished plan."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dropnas.config import read_parameters
from dropnas.monitor.costs import page_cost
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.report.page.write import PAGE_FILE, write_page
from tests.page.made_store import publish_plan

PAPER = Path(__file__).parents[2] / "params" / "paper.yaml"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (400, 1024, 1600)  # pixels
STOPS = """() => {
  const end = document.getElementById("evidence");
  const all = document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]');
  return [...all].filter(one => one.checkVisibility() && one.compareDocumentPosition(end) & 4).length;
}"""


def make_page(parameters: Path, root: Path, wanted: Any = lambda run: True) -> Path:
    """Publish the wanted runs of a plan, and make its page."""
    plan = make_plan(read_parameters(parameters))
    publish_plan(plan.by_default(), root, wanted)
    file, _ = write_page(plan_content(plan), root, None, parameters, page_cost)
    return file


@pytest.fixture(scope="session")
def small_page(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Table 1, Table 4, Table 5 and all figures of the paper's protocol; two seeds, half of one space missing."""
    return once("small-page", make_small_page) / "results/paper" / PAGE_FILE


def make_small_page(root: Path) -> None:
    text = PAPER.read_text(encoding="utf-8").replace("seeds: 8", "seeds: 2\ntables: [table1, table2, table4, table5]")
    (root / "small.yaml").write_text(text, encoding="utf-8")
    late = ("1-skip", "table4", "table5")
    make_page(root / "small.yaml", root, lambda run: not any(name in run.name for name in late))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(params=WIDTHS)
def opened(request: pytest.FixtureRequest, browser: Any, small_page: Path) -> Iterator[Any]:
    """The small page at each width, with sortable tables and a record of its requests."""
    page = browser.new_page(viewport={"width": request.param, "height": 1000})
    page.requests, page.complaints = [], []
    page.on("request", lambda one: page.requests.append(one.url))
    page.on("console", lambda one: page.complaints.append(one.text))
    page.on("pageerror", lambda one: page.complaints.append(str(one)))
    show(page, small_page)
    yield page
    page.close()


def show(page: Any, file: Path) -> None:
    """Open a page from disk and wait until its tables can be sorted."""
    page.goto(file.as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")


def printed_pages(page: Any) -> int:
    """The number of printed A4 pages."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
