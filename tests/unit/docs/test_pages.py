"""Generated parts of the documentation are up to date, and its links have valid targets."""

import csv
import re
from functools import cache
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from docs.parameter_reference import PAGE, descriptions, page
from dropnas.config import read_parameters, schema
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.stages import STAGES
from dropnas.search.config import DropoutOptions
from tests.unit.docs.commands import PAGES, REPOSITORY

README = REPOSITORY / "README.md"
OURS = ("dropnas/", "docs/", "tests/", "params/", "workflow/", "profiles/", "benchmarks/")
LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


KINDS = {"Parameters": schema(), **schema()["$defs"], "DropoutOptions": TypeAdapter(DropoutOptions).json_schema()}


@pytest.mark.parametrize("name", KINDS)
def test_every_field_is_described(name: str) -> None:
    assert set(descriptions(KINDS[name]["description"])) == set(KINDS[name]["properties"])


def test_a_description_may_have_several_lines_and_names() -> None:
    text = "A class.\n\nAttributes:\n    one, two: of both,\n        in two lines: with a colon.\n    three: alone."
    assert descriptions(text) == {
        **dict.fromkeys(("one", "two"), "Of both, in two lines: with a colon."),
        "three": "Alone.",
    }


def test_the_reference_of_parameters_is_current() -> None:
    """Remedy: `make docs` after a change of a configuration."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_reference_has_every_key() -> None:
    text = page()
    keys = [key for kind in (schema(), *schema()["$defs"].values()) for key in kind["properties"]]
    assert all(text.count(f"| `{key}` |") >= keys.count(key) for key in keys)
    assert "## `search.options`" in text and "| `alpha_adjust` |" in text


def test_the_picture_of_the_rules_has_them_all() -> None:
    """docs/workflow.md explains how to draw it again."""
    plan = make_plan(read_parameters(REPOSITORY / "params/paper.yaml")).by_default()
    rules = {STAGES[run.stage].rule for run in plan.runs.values()}
    drawn = (REPOSITORY / "docs/workflow.svg").read_text()
    assert rules <= set(re.findall(r">(\w+)</text>", drawn))


def test_the_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) < 150 and max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    "file", [*PAGES, REPOSITORY / "CHANGELOG.md"], ids=lambda file: f"{file.parent.name}-{file.name}"
)
def test_links_lead_somewhere(file: Path) -> None:
    found = ["".join(groups) for groups in LINK.findall(file.read_text())]
    inner = [link for link in found if "://" not in link]
    missing = [link for link in inner if not leads(file, *link.partition("#")[::2])]
    assert missing == []


def leads(file: Path, path: str, anchor: str) -> bool:
    """Whether a file exists and, if a heading is given, contains it."""
    target = file.parent / path if path else file
    return target.exists() and (not anchor or anchor in anchors(target))


def test_the_decisions_have_a_complete_table_of_contents() -> None:
    """One link for each heading, in order. Anchors must be unique, because GitHub numbers repeated ones."""
    page = (REPOSITORY / "docs/decisions.md").read_text()
    contents = page.partition("## Contents")[2].partition("\n## ")[0]
    headings = re.findall(r"^##+ (?!Contents)(.*)$", page, re.MULTILINE)
    links = re.findall(r"\]\(#([^)]+)\)", contents)
    assert links == [anchor(heading) for heading in headings] and len(set(links)) == len(links)


@cache
def anchors(file: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {anchor(heading) for heading in headings}


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("file", [*PAGES, REPOSITORY / "CHANGELOG.md"], ids=lambda file: "/".join(file.parts[-2:]))
def test_files_of_the_project_that_a_page_names_exist(file: Path) -> None:
    """Names like `tests/example` or, below the package, `search/config.py`; not files made by users or commands."""
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_0-9.]*[a-z_0-9])`", file.read_text())
    rooms = {*(path.name for path in (REPOSITORY / "dropnas").iterdir() if path.is_dir())} - {"data"}
    ours = [name for name in named if name.startswith(OURS) or name.partition("/")[0] in rooms]
    missing = [name for name in ours if not any((REPOSITORY / room / name).exists() for room in (".", "dropnas"))]
    assert missing == []


def test_the_paper_map_names_what_is_in_the_files() -> None:
    for line in (REPOSITORY / "docs/paper-map.md").read_text().splitlines():
        for path, names in re.findall(r"`([\w/]+\.py)`((?:,? `\w[\w.]*`)+)", line):
            text = (REPOSITORY / "dropnas" / path.removeprefix("dropnas/")).read_text()
            last = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", names) if not name.endswith(".py")]
            assert [name for name in last if name not in text] == [], path


def test_the_table_of_the_study_has_the_numbers_of_its_picture() -> None:
    written, numbers = ((REPOSITORY / f"docs/study.{kind}").read_text(encoding="utf-8") for kind in ("md", "csv"))
    lines = [line.replace("\N{MINUS SIGN}", "-") for line in written.splitlines() if line.startswith("| ")]
    table = {line.split("|")[1].strip(): line for line in lines}
    for row in csv.DictReader(numbers.splitlines()):
        line = table[row["method"]]
        assert row["skips"].replace(" ", ", ") in line
        if row["error_mean"]:
            assert f"{row['error_mean']} ± {row['error_deviation']}" in line
        if float(row["half_width"] or 0):
            assert f"{row['start']} → {row['end']}" in line
            assert f"{float(row['change']):+.3f} ± {row['half_width']}" in line
