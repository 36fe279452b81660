"""Several starts of one plan, in parallel and forced: each run is computed once, and finished work is never deleted."""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.workflow.conftest import WAIT, Bench, make_bench


@pytest.fixture
def other(project: Path, tmp_path: Path, fresh: Bench) -> Bench:
    """A second checkout whose edit changes no run, and whose starts fill the store of the first one."""
    bench = make_bench(tmp_path / "other", project)
    (bench.checkout / "dropnas" / "cli.py").open("a").write("# Another checkout.\n")
    bench.store.rmdir()
    bench.store.symlink_to(fresh.store)
    return bench


def end(process: subprocess.Popen[str], bench: Bench) -> None:
    assert process.wait(WAIT) == 0, (bench.folder / "start.log").read_text()


@pytest.mark.trial
def test_two_heads_from_two_checkouts_share_the_work(fresh, other, built):
    heads = [(bench.begin("--cores", "2", "table1"), bench) for bench in (fresh, other)]
    for process, bench in heads:
        end(process, bench)
    assert len(list(fresh.store.glob("plans/*"))) == 2  # each worked from its own frozen copy
    assert fresh.finished("table/table1-") and fresh.contents().items() <= built.contents().items()
    assert fresh.counted("published") == fresh.counted("computed") == Counter(fresh.runs().keys())


@pytest.mark.trial
def test_one_of_two_heads_may_be_killed_with_all_its_jobs(fresh, other, built):
    victim, survivor = fresh.begin("table1"), other.begin("table1")
    fresh.wait_until(lambda: fresh.finished("search/digits-"), "a finished search")
    jobs = descendants(victim.pid)
    for process in jobs:
        os.kill(process, signal.SIGKILL)
    victim.wait()
    end(survivor, other)
    assert fresh.contents().items() <= built.contents().items()
    assert set(fresh.counted("published").values()) == {1}


def descendants(process: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in descendants(int(child)))]


def test_a_forced_rerun_computes_and_deletes_nothing(bench):
    before, contents = bench.runs(), bench.contents()
    computed = bench.counted("computed")
    bench.run("--forceall", "table1")
    assert bench.runs() == before and bench.contents() == contents
    assert bench.counted("computed") == computed
    assert len(list(bench.store.glob("runs/*/*/run.json"))) == len(before)
    assert bench.would_run() == set()
