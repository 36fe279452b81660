"""The paper's protocol at lower cost: the runs of paper.yaml, with only the settings changed that its header lists."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dropnas.config import read_parameters
from dropnas.pipeline.jobs import jobs
from dropnas.pipeline.plan import Plan, make_plan
from dropnas.runs.identity import resolved

FAST = Path(__file__).parents[3] / "params" / "paper-fast.yaml"
PAPER = FAST.with_name("paper.yaml")
NAMES = {"profile", "description"}  # keys of the file itself
CHANGED = {
    "search.precision",
    "search.group_seeds",
    "retrain.precision",
    "retrain.memory_format",
    "retrain.deterministic",
    "transfer.precision",
    "transfer.memory_format",
}


def settings(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from settings(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def plan(file: Path) -> Plan:
    return make_plan(read_parameters(file)).by_default()


def test_it_differs_only_in_the_settings_that_its_header_names() -> None:
    paper, fast = (dict(settings(resolved(read_parameters(file)))) for file in (PAPER, FAST))
    assert {name for name in paper.keys() | fast.keys() if paper.get(name) != fast.get(name)} == NAMES | CHANGED
    top = FAST.read_text().partition("\nprofile:")[0]
    assert set(re.findall(r"^# (\w+\.\w+) {2,}\w", top, re.MULTILINE)) == CHANGED


def test_it_has_the_same_runs_under_identities_of_their_own() -> None:
    paper, fast = plan(PAPER), plan(FAST)
    named = [Counter((run.stage, run.name) for run in one.runs.values()) for one in (paper, fast)]
    # the names of tables and figures contain the profile
    assert named[0] == Counter(
        {(stage, name.replace("paper-fast", "paper")): n for (stage, name), n in named[1].items()}
    )
    assert {run.stage for id_, run in paper.runs.items() if id_ in fast.runs} == {"data", "architectures"}


def test_its_seeds_train_as_one_group() -> None:
    assert {len(job.runs) for job in jobs(plan(FAST)) if job.runs[0].stage == "search"} == {8}


def test_a_retraining_that_is_not_deterministic_has_another_identity() -> None:
    run = next(run for run in plan(PAPER).runs.values() if run.stage == "retrain")
    other = replace(run, config=replace(run.config, deterministic=False))
    assert other.id != run.id and "deterministic" not in run.identity["config"]
    assert other.identity["config"]["deterministic"] is False


def test_what_changes_rounding_is_in_the_identity() -> None:
    stated = {run.stage: run.identity["numerics"] for run in plan(FAST).runs.values()}
    assert (stated["search"], stated["retrain"]) == ("bf16, grouped seeds", "bf16, channels last")
    assert stated["transfer"] == "bf16, channels last"
    assert {run.identity["numerics"] for run in plan(PAPER).runs.values()} == {"fp32", "exact"}
