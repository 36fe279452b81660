"""The report page in a real browser: the first screen, links, keyboard, contrast, downloads, print, three widths."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import STOPS, printed_pages, show

PAPER = "https://doi.org/10.24963/ijcai.2020/322"
TOP = "id => Math.abs(document.getElementById(id).getBoundingClientRect().top - 16) < 4"
CLIPPED = """() => [...document.querySelectorAll("body *")].filter(one =>
  one.checkVisibility() && !one.closest(".hidden, .skip, svg, script") && !one.matches(".scroll, pre, input")
  && getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1
).map(one => one.outerHTML)"""
VALUES = "table => [...table.tBodies[0].rows].map(row => row.cells[5].textContent)"


def open_all(page: Any) -> None:
    """Open every `details` element, and wait until its tables can be sorted."""
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.wait_for_function("() => !document.querySelector('table.sortable:not(.dataTable)')")


def test_it_requests_nothing_and_logs_no_error(opened: Any) -> None:
    outside = [url for url in opened.requests if not url.startswith(("data:", "file:"))]
    assert (outside, opened.complaints) == ([], [])
    assert sum(url.startswith("file:") for url in opened.requests) == 1


def test_every_link_leads_to_a_place_on_the_page_or_to_the_paper(opened: Any) -> None:
    links = opened.eval_on_selector_all("a", "links => links.map(link => link.getAttribute('href'))")
    places = opened.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
    assert len(links) > 500
    assert len(set(places)) == len(places)
    assert {link for link in links if link.removeprefix("#") not in places} == {PAPER}


@pytest.fixture(params=[(1280, 800), (400, 800)])
def first_screen(request: pytest.FixtureRequest, browser: Any, small_page: Path) -> Iterator[Any]:
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    show(page, small_page)
    yield page
    page.close()


def test_the_first_screen_answers(first_screen: Any) -> None:
    for selector in ("h1", ".tally li", ".headline tbody tr"):
        boxes = [one.bounding_box() for one in first_screen.locator(selector).all()]
        assert boxes
        assert max(box["y"] + box["height"] for box in boxes) <= 800, selector
    text = first_screen.locator(".headline").text_content()
    assert all(name in text for name in ("CIFAR-10", "CIFAR-100", "ImageNet", "2.58±0.14", "n=2"))


def test_a_number_leads_to_its_runs_and_a_run_to_the_top_of_the_window(opened: Any) -> None:
    number = opened.locator("article:has(#table4) td.number a").first
    place = number.get_attribute("href").removeprefix("#")
    number.click()
    opened.wait_for_function(TOP, arg=place)
    run = opened.locator(f'tr:has([id="{place}"]) a[href^="#run-"]').first
    name = run.get_attribute("href").removeprefix("#")
    run.click()
    opened.wait_for_function(TOP, arg=name)
    row = opened.locator(f'tr:has([id="{name}"])').text_content()
    assert "retrain" in row
    assert "2026-01-03" in row
    opened.go_back()
    opened.wait_for_function(TOP, arg=place)


@pytest.mark.parametrize("place", ["claim-spaces", "table4", "figure2", "plan", "from-table1-dropnas-error-best"])
def test_a_permalink_opens_at_its_place(opened: Any, small_page: Path, place: str) -> None:
    opened.goto(f"{small_page.as_uri()}#{place}")
    opened.wait_for_function("document.documentElement.dataset.ready")
    opened.wait_for_function(TOP, arg=place)


def test_links_of_the_contents_lead_to_the_top_of_their_sections(opened: Any) -> None:
    for link in opened.locator("nav a").all():
        place = link.get_attribute("href").removeprefix("#")
        link.click()
        if place != "evidence":  # the last section is shorter than the window
            opened.wait_for_function(TOP, arg=place)


def test_a_claim_opens_to_its_effects(opened: Any) -> None:
    opened.locator("#claim-spaces summary").click()
    text = opened.locator("#claim-spaces").text_content()
    effects = ("in the paper's direction", "would be detected with a probability of 80 %", "95 % interval")
    for words in (*effects, "converted from n to n - 1"):
        assert words in text


def test_numbers_are_filtered_by_data_set(opened: Any) -> None:
    opened.locator('.filter input[value="CIFAR-10"]').check()
    shown = opened.eval_on_selector_all(
        ".picture", "all => all.filter(one => one.checkVisibility()).map(one => one.dataset.set)"
    )
    assert set(shown) == {"CIFAR-10"}
    opened.locator('.filter input[value=""]').check()
    assert opened.locator('.picture[data-set="CIFAR-100"]').first.is_visible()


@pytest.mark.parametrize("opened", [1024], indirect=True)
def test_all_numbers_are_downloaded_as_csv_and_json(opened: Any, small_page: Path, tmp_path: Path) -> None:
    opened.locator(".menu summary", has_text="Download").click()
    files = {}
    for name, form in (("numbers", "CSV"), ("numbers", "JSON"), ("verdicts", "CSV"), ("verdicts", "JSON")):
        with opened.expect_download() as waiting:
            opened.locator(f'.menu [data-save="{name}"][data-form="{form}"]').click()
        files[name, form] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[name, form])
    lines = list(csv.DictReader(files["numbers", "CSV"].open(encoding="utf-8", newline="")))
    records = json.loads(files["numbers", "JSON"].read_text(encoding="utf-8"))
    assert len(lines) == len(records) > 100
    assert [line["ours_mean"] for line in lines] == [
        "" if one["ours_mean"] is None else str(one["ours_mean"]) for one in records
    ]
    beside = json.loads(small_page.with_name("verdicts.json").read_text(encoding="utf-8"))
    assert json.loads(files["verdicts", "JSON"].read_text(encoding="utf-8")) == beside
    verdicts = list(csv.DictReader(files["verdicts", "CSV"].open(encoding="utf-8", newline="")))
    assert [line["verdict"] for line in verdicts] == [one["verdict"] for one in beside["numbers"]]


@pytest.mark.parametrize("opened", [1024], indirect=True)
def test_a_table_is_downloaded_in_each_form(opened: Any, tmp_path: Path) -> None:
    opened.locator("article:has(#table4) .copy summary").click()
    texts = {}
    for form in ("Markdown", "LaTeX", "CSV"):
        with opened.expect_download() as waiting:
            opened.locator(f'[data-save="table4"][data-form="{form}"]').click()
        waiting.value.save_as(tmp_path / form)
        texts[waiting.value.suggested_filename] = (tmp_path / form).read_text(encoding="utf-8")
    assert texts["table4.md"].startswith("# Table 4 (profile paper)")
    assert r"\begin{tabular}" in texts["table4.tex"]
    assert {line["table"] for line in csv.DictReader(texts["table4.csv"].splitlines())} == {"table4"}


@pytest.mark.parametrize("opened", [1024], indirect=True)
def test_a_click_or_the_keyboard_sorts_the_evidence(opened: Any) -> None:
    opened.locator("summary", has_text="Where each number comes from").click()
    table = opened.locator("table.sortable.dataTable").first
    header = table.locator("thead th").nth(5)
    for act, direction in ((header.click, "ascending"), (lambda: opened.keyboard.press("Enter"), "descending")):
        header.get_by_role("button").focus()
        act()
        opened.wait_for_function("([one, order]) => one.ariaSort === order", arg=[header.element_handle(), direction])
        values = [int(one) for one in table.evaluate(VALUES)]
        assert values == sorted(values, reverse=direction == "descending")
        assert len(set(values)) > 1


def test_the_keyboard_reaches_the_main_controls(opened: Any) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.keyboard.press("Enter")
    assert opened.evaluate("location.hash") == "#content"
    reached = set()
    for _ in range(60):
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate("document.activeElement.role || document.activeElement.localName"))
    assert {"summary", "input", "a"} <= reached


def test_details_open_by_keyboard(opened: Any) -> None:
    summary = opened.locator("main summary").first
    summary.focus()
    opened.keyboard.press("Enter")
    assert summary.evaluate("one => one.parentElement.open")


def test_nothing_is_wider_than_the_window_or_cut(opened: Any) -> None:
    for opening in (lambda page: None, open_all):
        opening(opened)
        assert opened.evaluate("document.documentElement.scrollWidth") <= opened.viewport_size["width"]
        assert opened.evaluate(CLIPPED) == []
    narrow = "all => all.every(one => one.tabIndex === 0 && one.getAttribute('aria-label'))"
    assert opened.eval_on_selector_all(".scroll", narrow)


# Only one of the rows with equal elements and classes is checked, because axe takes seconds for thousands of rows.
WITHOUT_LIKE_ROWS = """() => document.querySelectorAll("tbody").forEach(body => {
  const seen = new Set();
  for (const row of [...body.rows]) {
    const form = [row, ...row.querySelectorAll("*")].map(one => `${one.tagName} ${one.className}`).join();
    if (seen.has(form)) row.remove(); else seen.add(form);
  }
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_accessibility(opened: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    opened.emulate_media(color_scheme=scheme)
    open_all(opened)
    opened.evaluate(WITHOUT_LIKE_ROWS)
    found = axe.Axe().run(opened, options={"resultTypes": ["violations"]}).response
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert any(one["id"] == "color-contrast" for one in found["passes"])


def test_it_follows_a_dark_desktop(opened: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    opened.emulate_media(color_scheme="light")
    light = opened.evaluate(colour)
    opened.emulate_media(color_scheme="dark")
    assert light == "rgb(255, 255, 255)"
    assert max(map(int, re.findall(r"\d+", opened.evaluate(colour)))) < 64


@pytest.mark.parametrize("opened", [1024], indirect=True)
def test_it_prints_without_its_evidence(opened: Any) -> None:
    assert 5 < printed_pages(opened) <= 30
    opened.emulate_media(media="print")
    assert not opened.locator("#evidence").is_visible()


@pytest.mark.parametrize("opened", [1024], indirect=True)
def test_few_keyboard_stops_come_before_the_evidence(opened: Any) -> None:
    assert 50 < opened.evaluate(STOPS) <= 300


def test_it_can_be_read_without_scripts(browser: Any, small_page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(small_page.as_uri())
    text = page.locator("main").text_content()
    for words in ("The paper's claims", "2.58±0.14", "Excluded runs", "Where each number comes from", "retrain"):
        assert words in text
    assert page.locator("figure img").first.is_visible()
    context.close()


def test_pictures_are_drawn_and_described(opened: Any) -> None:
    sizes = opened.eval_on_selector_all("figure img", "all => all.map(one => [one.naturalWidth, one.alt.length])")
    assert len(sizes) >= 3
    assert all(width > 100 and words > 20 for width, words in sizes)
