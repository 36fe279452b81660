"""The verdicts as files next to the page: in every format, they have the content of the page."""

import io
import json
from pathlib import Path

import pandas
import pytest

from dropnas.artifacts.verdicts_file import VerdictsFile
from dropnas.config import read_parameters
from dropnas.monitor.costs import page_cost
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.report.page.contents import gather
from dropnas.report.page.planned import parse_content
from dropnas.report.page.write import VERDICT_FILES, write_page
from dropnas.report.verdict_files import verdict_texts
from tests.page.made_store import publish_plan

PARAMETERS = """
profile: study
description: Two tables.
reproduction: true
datasets:
  cifar10: {name: cifar10, source: torchvision}
  cifar100: {name: cifar100, source: torchvision}
seeds: 3
tables: [table4, table6]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all runs of two tables."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(PARAMETERS, encoding="utf-8")
    publish_plan(make_plan(read_parameters(folder / "study.yaml")).by_default(), folder)
    return folder


@pytest.fixture(scope="module")
def content(root: Path) -> dict[str, object]:
    return plan_content(make_plan(read_parameters(root / "study.yaml")))


@pytest.fixture(scope="module")
def verdicts(root: Path, content: dict[str, object]) -> VerdictsFile:
    found: VerdictsFile = gather(parse_content(content, "plan"), root, page_cost).verdicts
    return found


def test_csv_and_json_hold_every_number_in_full(verdicts: VerdictsFile) -> None:
    texts = verdict_texts(verdicts)
    table = pandas.read_csv(io.StringIO(texts[".csv"]), keep_default_na=False)
    parsed = json.loads(texts[".json"])
    assert len(table) == len(parsed["numbers"]) == len(verdicts.numbers) > 0
    assert list(table["verdict"]) == [str(one.verdict) for one in verdicts.numbers]
    assert [float(p) for p in table["p_differs"]] == [one.p_differs for one in verdicts.numbers]
    assert [one["interval"] for one in parsed["numbers"]] == [list(one.interval or ()) for one in verdicts.numbers]
    assert [line.split(" ") for line in table["runs"]] == [list(one.runs) for one in verdicts.numbers]
    assert set(table["reproduction"].astype(str).str.lower()) == {"true"}


def test_claims_are_in_json_and_markdown(verdicts: VerdictsFile) -> None:
    texts = verdict_texts(verdicts)
    assert [one["claim"] for one in json.loads(texts[".json"])["claims"]] == [one.claim for one in verdicts.claims]
    for one in verdicts.claims:
        line = next(line for line in texts[".md"].splitlines() if one.where in line and one.claim[:40] in line)
        assert f"{one.outcome}: " in line


def test_markdown_has_a_line_for_each_number(verdicts: VerdictsFile) -> None:
    lines = [line for line in verdict_texts(verdicts)[".md"].splitlines() if line.startswith("| table")]
    assert len(lines) == len(verdicts.numbers)
    for line, one in zip(lines, verdicts.numbers, strict=True):
        assert f" {one.verdict} " in line and one.paper_text in line and one.ours_text in line


def test_a_profile_that_reproduces_nothing_says_so_in_each_format(verdicts: VerdictsFile) -> None:
    texts = verdict_texts(VerdictsFile("smoke", False, verdicts.claims, verdicts.numbers))
    assert "Not a reproduction of the paper: profile 'smoke'" in texts[".md"].replace("\n", " ")
    assert json.loads(texts[".json"])["reproduction"] is False
    assert all(line.startswith("smoke,false,") for line in texts[".csv"].splitlines()[1:])


def test_verdict_files_are_next_to_the_page_and_come_back(
    root: Path, content: dict[str, object], tmp_path: Path
) -> None:
    page, _ = write_page(content, root, None, "plan", page_cost)
    files = [page.with_name(name) for name in VERDICT_FILES]
    before = [file.read_bytes() for file in files]
    assert write_page(content, root, None, "plan", page_cost) == (page, False)
    files[0].unlink()
    assert write_page(content, root, None, "plan", page_cost) == (page, True)
    assert [file.read_bytes() for file in files] == before
    write_page(content, root, tmp_path / "elsewhere.html", "plan", page_cost)
    assert [file.name for file in tmp_path.iterdir()] == ["elsewhere.html"]
