"""The checklist page, which plan and manifests determine, and which states what they do not answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from dropnas.config import read_parameters
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.report.checklist import checklist_text
from dropnas.report.page.planned import Content, parse_content
from dropnas.report.page.survey import Found, survey
from dropnas.runs.verify import published
from tests.page.made_store import SECONDS
from tests.unit.archive.conftest import content_of as files_of

PARAMS = Path(__file__).parents[3] / "params"


def content_of(parameters: Path) -> Content:
    return parse_content(plan_content(make_plan(read_parameters(parameters))), parameters)


@pytest.fixture(scope="module")
def content(parameters: Path) -> Content:
    return content_of(parameters)


@pytest.fixture(scope="module")
def found(content: Content, made: Path) -> dict[str, Found]:
    return survey(content, made)


def answers(text: str) -> dict[str, str]:
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {question: answer for question, answer in rows if question != "question"}


@pytest.mark.parametrize("name", ["paper", "smoke", "compare", "mini"])
def test_every_question_is_answered_before_anything_has_run(name: str, tmp_path: Path) -> None:
    content = content_of(PARAMS / f"{name}.yaml")
    text = checklist_text(content, survey(content, tmp_path))
    given = answers(text)
    assert len(given) > 35
    assert all(given.values()) and not set("{}") & set(text)
    assert ("Not a reproduction of the paper" in text) is not content.reproduction
    assert given["Which computing infrastructure was used?"] == "Not yet: no training is finished."
    assert "Not answered by this repository" in text


def test_what_the_runs_show_is_counted(content: Content, found: dict[str, Found], made: Path) -> None:
    given = answers(checklist_text(content, found))
    stages = [folder.parent.name for folder in published(made)]
    hours = sum(SECONDS.get(stage, 0.0) for stage in stages) / 3600
    assert given["Which computing infrastructure was used?"] == f"NVIDIA H100 80GB HBM3; {hours:,.1f} device-hours."
    counted = f"{stages.count('search')} of {stages.count('search')} searches"
    assert counted in given["How many training and evaluation runs were there exactly?"]
    assert "seeds 0, 1" in given["Were experiments repeated, and are the seeds reported?"]
    assert given["Were ablation studies run?"] == "Yes: Table 6."
    assert (
        "cifar100: 100 classes, 50,000 training"
        in given["Are relevant statistics given, such as the number of examples?"]
    )
    assert given["Is there a comparison with random search?"].startswith("No, not in this profile")


def test_a_second_device_is_no_controlled_comparison(content: Content, found: dict[str, Found]) -> None:
    question = "Were confounding factors controlled, such as hardware, library versions and runtime?"
    assert answers(checklist_text(content, found))[question].startswith("Yes: all ")
    id_, one = next((id_, one) for id_, one in found.items() if one.run.stage == "search")
    other = replace(one, record={**one.record, "device": "CPU", "git": {"commit": "f" * 40, "dirty": True}})
    mixed = answers(checklist_text(content, {**found, id_: other}))
    assert mixed[question].startswith("In part: models of devices: 2; sets of versions: 1")
    assert mixed["Which computing infrastructure was used?"].startswith("CPU and NVIDIA H100 80GB HBM3; ")
    assert "ffffffffff with uncommitted changes" in mixed["Is the code for training released?"]


def test_reduced_data_and_a_choice_by_the_test_set_are_stated(tmp_path: Path) -> None:
    smoke = content_of(PARAMS / "smoke.yaml")
    given = answers(checklist_text(smoke, survey(smoke, tmp_path)))
    assert "digits the first 900 training images" in given["Is excluded data explained, and all preprocessing?"]
    assert "its best epoch on the test set" in given["Are the splits described?"]


def test_it_is_next_to_the_page_and_in_the_archive(archived: Path, made: Path, content: Content) -> None:
    text = (made / "results/study/checklist.md").read_text(encoding="utf-8")
    assert text == checklist_text(content, survey(content, made))
    assert files_of(archived)["results/study/checklist.md"].decode() == text
