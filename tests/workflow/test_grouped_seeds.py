"""The seeds of an experiment as one group: one job, but runs published separately; a repeat trains missing ones."""

import json
from collections import Counter
from pathlib import Path

from tests.workflow.conftest import Bench, make_bench


def group_of(bench: Bench, folder: str) -> float:
    """The number of searches that trained in the group of this one."""
    found: float = json.loads((bench.store / folder / "run.json").read_text())["statistics"]["group"]
    return found


def test_seeds_are_one_job_and_a_repeat_trains_the_missing_one(project: Path, tmp_path: Path) -> None:
    bench = make_bench(tmp_path, project)
    machine = {"runs_per_job": {"retrain": 10}}  # it has no entry for searches
    only = {"tables": ["table1"], "figures": [], "seeds_of": {"table1": 3}}
    bench.configure(search={"group_seeds": True}, machine=machine, **only)
    bench.run("table1", "--until", "search")
    searches, before = bench.finished("search/"), bench.runs()
    assert Counter(group_of(bench, name) for name in searches) == {3: len(searches)}
    assert len(list(bench.store.glob("logs/micro/search/*.log"))) == len(searches) / 3
    missing = min(searches)
    bench.remove(missing)
    bench.run("table1", "--until", "search")
    assert group_of(bench, missing) == 1
    again = {name for name in searches if bench.runs()[name] != before[name]}
    assert again == {missing} == {name for name in searches if bench.counted("computed")[name] > 1}
