"""The report page in a real browser: links, sorting, keyboard, contrast, printing, narrow and wide, without scripts."""

import re
from pathlib import Path
from typing import Any

import pytest

VALUES = "table => [...table.tBodies[0].rows].map(row => row.cells[2].dataset.order || row.cells[2].textContent)"


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Any) -> None:
    outside = [url for url in opened.requests if not url.startswith(("data:", "file:"))]
    assert (outside, opened.complaints) == ([], [])
    assert sum(url.startswith("file:") for url in opened.requests) == 1


def test_every_link_leads_to_a_place_on_the_page(opened: Any) -> None:
    links = opened.eval_on_selector_all("a", "links => links.map(link => link.getAttribute('href'))")
    places = opened.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
    assert len(links) > 500
    assert len(set(places)) == len(places)
    assert {link for link in links if link.removeprefix("#") not in places} == set()


def test_each_number_of_ours_leads_to_its_runs(opened: Any) -> None:
    number = opened.locator("#table4 ~ .scroll").first.locator("tr.ours td.number a").first
    place = opened.locator(f'[id="{number.get_attribute("href").removeprefix("#")}"]')
    run = place.locator("ul a").first
    row = opened.locator(f'[id="{run.get_attribute("href").removeprefix("#")}"]')
    assert "retrain" in row.text_content()
    assert "2026-01-03" in row.text_content()


def test_a_click_sorts_and_is_announced(opened: Any) -> None:
    table = opened.locator("table.lines").first
    header = table.locator("thead th").nth(2)
    values = []
    for direction in ("ascending", "descending"):
        header.click()
        opened.wait_for_function("([one, order]) => one.ariaSort === order", arg=[header.element_handle(), direction])
        values.append([float(one) for one in table.evaluate(VALUES)])
    assert values[0] == sorted(values[0])
    assert values[1] == sorted(values[1], reverse=True)
    assert len(set(values[0])) > 2


def test_the_keyboard_sorts(opened: Any) -> None:
    table = opened.locator("#plan ~ .scroll table").first
    button = table.locator("thead th").nth(2).get_by_role("button")
    button.focus()
    opened.keyboard.press("Enter")
    header = table.locator("thead th").nth(2).element_handle()
    opened.wait_for_function("one => one.ariaSort === 'ascending'", arg=header)
    values = [int(one) for one in table.evaluate(VALUES)]
    assert values == sorted(values)


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
    assert {"region", "button", "a"} <= reached


def test_details_open_by_keyboard(opened: Any) -> None:
    summary = opened.locator("main summary").first
    summary.focus()
    opened.keyboard.press("Enter")
    assert summary.evaluate("one => one.parentElement.open")


def test_nothing_sticks_out_of_the_window(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") <= opened.viewport_size["width"]
    narrow = "all => all.every(one => one.tabIndex === 0 && one.getAttribute('aria-label'))"
    assert opened.eval_on_selector_all(".scroll", narrow)


@pytest.mark.parametrize("opened", [1600], indirect=True)  # colours do not depend on the width, and it takes long
def test_contrast_and_accessibility(opened: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    opened.add_style_tag(content=".scroll { content-visibility: visible !important; }")  # nothing escapes the check
    found = axe.Axe().run(opened).response
    faults = [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]]
    assert faults == []
    assert any(one["id"] == "color-contrast" for one in found["passes"])


def test_it_prints(opened: Any) -> None:
    pdf = opened.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 5


def test_it_can_be_read_without_scripts(browser: Any, small_page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(small_page.as_uri())
    text = page.locator("main").text_content()
    for words in ("Claims", "2.58±0.14", "Excluded runs", "Where each number comes from", "retrain"):
        assert words in text
    assert page.locator("figure img").first.is_visible()
    context.close()


def test_pictures_are_drawn_and_described(opened: Any) -> None:
    sizes = opened.eval_on_selector_all("figure img", "all => all.map(one => [one.naturalWidth, one.alt.length])")
    assert len(sizes) >= 3
    assert all(width > 100 and words > 20 for width, words in sizes)


def test_a_link_of_the_contents_leads_to_the_top_of_its_section(opened: Any) -> None:
    """Also past tables and pictures that were out of sight before."""
    for place in ("plan", "figures", "kept-out"):
        opened.locator(f'nav a[href="#{place}"]').first.click()
        top = "place => Math.abs(document.getElementById(place).getBoundingClientRect().top - 16) < 2"
        opened.wait_for_function(top, arg=place, timeout=5000)
