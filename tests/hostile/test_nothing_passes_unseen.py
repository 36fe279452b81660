"""No check passes without reading: what cannot be read or does not exist is reported, with a non-zero status."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.bench import Bench
from tests.in_process import verb


def file_for_runs(root: Path) -> None:
    shutil.rmtree(root / "runs")
    (root / "runs").write_text("")


def file_for_stage(root: Path) -> None:
    shutil.rmtree(root / "runs" / "search")
    (root / "runs" / "search").write_text("")


def in_the_place_of_a_run(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        folder = sorted((root / "runs" / "select").iterdir())[0]
        shutil.rmtree(folder)
        make(folder)

    return change


def without_manifest(root: Path) -> None:
    folder = sorted((root / "runs" / "select").iterdir())[0]
    (folder / "manifest.json").unlink()
    (folder / "run.json").unlink()


def pipe(root: Path) -> None:
    os.mkfifo(sorted((root / "runs" / "select").iterdir())[0] / "more")


UNSEEN = {
    "runs is a file": (file_for_runs, "runs: cannot be read"),
    "a stage is a file": (file_for_stage, "search: cannot be read"),
    "an empty folder": (in_the_place_of_a_run(Path.mkdir), "is an empty folder where a run should be"),
    "a file": (in_the_place_of_a_run(Path.touch), "is a file where a run should be"),
    "no manifest": (without_manifest, "has no manifest"),
    "a pipe": (pipe, "is neither a file nor a folder"),
    "no store": (shutil.rmtree, "there is no finished run here"),
    "an empty store": (lambda root: [shutil.rmtree(root), root.mkdir()], "there is no finished run here"),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_verify_says_where_it_could_not_look(bench: Bench, case: str) -> None:
    change, line = UNSEEN[case]
    change(bench.root)
    done = verb("verify", root=bench.root)
    assert done.status == 1 and line in done.err and not done.fault


def test_a_run_in_work_is_no_problem(bench: Bench) -> None:
    """The workflow creates the run's folder before the run begins."""
    run = bench.of_stage("table")[0]
    bench.take_out([run])
    bench.folder(run).mkdir()
    (bench.root / "scratch" / run.id).mkdir(parents=True)
    assert verb("verify", root=bench.root).status == 0


def test_an_unreadable_folder_is_a_problem(bench: Bench) -> None:
    """Only for ordinary users, because root may read everything."""
    if os.geteuid():
        unreadable = bench.root / "runs" / "search"
        unreadable.chmod(0)
        done = verb("verify", root=bench.root)
        unreadable.chmod(0o755)
        assert done.status == 1 and "search: cannot be read" in done.err
        return
    pytest.skip("root may read everything; test_two_users.py tests other users")
