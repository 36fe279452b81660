"""The ladder of reproductions: each step's runs are in the next one's plan, by identity."""

from itertools import pairwise
from pathlib import Path

import pytest

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.ladder import LADDER_STEPS
from dropnas.pipeline.plan import Plan, make_plan

PARAMS = Path(__file__).parents[3] / "params"
VIEWS = ("table", "published", "figure")  # stages that only show other runs; their runs differ from step to step


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    names = [*(step.profile for step in LADDER_STEPS), "sequential"]
    return {name: make_plan(read_parameters(PARAMS / f"{name}.yaml")) for name in names}


def work(plan: Plan) -> set[str]:
    """The ids of all runs except tables and figures, whose names contain the step."""
    return {id_ for id_, run in plan.runs.items() if run.stage not in VIEWS}


@pytest.mark.parametrize(("step", "following"), list(pairwise(step.profile for step in LADDER_STEPS)))
def test_each_step_is_a_part_of_the_next(plans: dict[str, Plan], step: str, following: str) -> None:
    smaller, larger = work(plans[step].by_default()), work(plans[following])
    assert smaller < larger
    for id_ in smaller:
        assert plans[step].runs[id_].folder == plans[following].runs[id_].folder


def test_seeds_by_looks_are_those_of_the_paper(plans: dict[str, Plan]) -> None:
    trained = {id_ for id_, run in plans["sequential"].runs.items() if run.stage in ("search", "derive", "retrain")}
    best = {id_ for id_ in trained if any(source.stage == "select" for source in plans["sequential"].runs[id_].inputs)}
    variants = {id_ for id_ in trained if any(one.stage == "variant" for one in plans["sequential"].runs[id_].inputs)}
    assert trained - best - variants < work(plans["paper"])


def test_the_steps_ask_what_they_promise(plans: dict[str, Plan]) -> None:
    stages = {name: {run.stage for run in plan.by_default().runs.values()} for name, plan in plans.items()}
    assert "search" not in stages["headline"]
    assert "transfer" not in stages["claims"]
    assert "transfer" in stages["paper"]
    assert len([run for run in plans["headline"].by_default().runs.values() if run.stage == "retrain"]) == 4 * 3
    seeds = {run.config.seed for run in plans["core"].by_default().runs.values() if run.stage == "search"}
    assert seeds == set(range(5))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seeds: {looks: [3, 3], most: 8}", "do not increase"),
        ("seeds: {looks: [5, 3], most: 8}", "do not increase"),
        ("seeds: {looks: [0, 3], most: 8}", "do not increase"),
        ("seeds: {looks: [3, 9], most: 8}", "above most"),
        ("seeds: {looks: [], most: 8}", "seeds"),
        ("seeds: {looks: [3]}", "seeds"),
        ("seeds: {looks: [3], most: 8}\nseeds_of: {table1: 2}", "cannot be used with looks"),
        ("best_of_seeds: false\nfigures: [figure5]", "best of the seeds"),
        ("published: [darts_v1, darts_v1]", "appears twice"),
        ("published: [no_such_cell]", "published"),
    ],
)
def test_bad_seeds_are_one_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "bad.yaml"
    text = "profile: bad\ndescription: Bad.\ndatasets:\n  cifar10: {name: digits, source: bundled}\n"
    file.write_text(text + f"tables: [table1]\n{line}\n")
    with pytest.raises(DropnasError, match=said) as raised:
        read_parameters(file)
    assert "\n" not in str(raised.value)
