"""The page of the whole paper: folders of all its runs with made-up numbers, written by the real writers."""

import time
from pathlib import Path
from typing import Any

import pytest

from dropnas.config import read_parameters
from dropnas.monitor.costs import page_cost
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.report.page.write import write_page
from tests.page.conftest import PAPER, STOPS, printed_pages, show
from tests.page.made_store import publish_plan

MEGABYTES = 10**6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    publish_plan(make_plan(read_parameters(PAPER)).by_default(), root)
    return root


@pytest.mark.slow
def test_it_is_made_in_seconds_and_is_small(store: Path) -> None:
    content = plan_content(make_plan(read_parameters(PAPER)))
    started = time.process_time()
    file, written = write_page(content, store, None, PAPER, page_cost)
    print(f"made in {time.process_time() - started:.1f} s of CPU time, {file.stat().st_size / MEGABYTES:.2f} MB")
    assert written
    assert file.stat().st_size < 4 * MEGABYTES
    started = time.process_time()
    assert write_page(content, store, None, PAPER, page_cost) == (file, False)
    print(f"seen to be up to date in {time.process_time() - started:.1f} s of CPU time")


@pytest.mark.slow
def test_it_opens(store: Path, browser: Any) -> None:
    file, _ = write_page(plan_content(make_plan(read_parameters(PAPER))), store, None, PAPER, page_cost)
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    show(page, file)
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    stops, sheets = page.evaluate(STOPS), printed_pages(page)
    print(
        f"opened in {timing['loadEventEnd']:.0f} ms; {stops} tab stops before the evidence; printed on {sheets} pages"
    )
    assert (stops <= 300, sheets <= 30) == (True, True)
    assert page.locator("table.runs tbody tr").count() > 1000
    assert page.locator("figure").count() == 6
    page.close()
