"""Shared results: a fresh clone pulls what a store has pushed, and its workflow continues from there."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.conftest import Bench, completed, make_bench

pytest.importorskip("dvc", reason="DVC is not installed: make setup")


def dropnas(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = bench.call([sys.executable, "-m", "dropnas", *arguments, "--root", str(bench.store)])
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def set_remote(bench: Bench, remote: Path) -> None:
    bench.call([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"])
    done = bench.call([sys.executable, "-m", "dvc", "remote", "add", "--quiet", "--default", "shared", str(remote)])
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def pulled(built: Bench, project: Path, once: Callable[[str, Callable[[Path], object]], Path]) -> Bench:
    """A fresh clone that has pulled, from a remote to which the completed store pushed all its runs."""

    def pull(folder: Path) -> None:
        pusher, clone = completed(folder / "pusher", project, built), make_bench(folder / "clone", project)
        set_remote(pusher, folder / "remote")
        dropnas(pusher, "push")
        shutil.copytree(pusher.store / ".dvc", clone.store / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
        dropnas(clone, "pull", str(clone.parameters))

    return Bench(once("pulled", pull) / "clone")


@pytest.fixture
def clone(project: Path, tmp_path: Path, pulled: Bench) -> Bench:
    """A copy of the pulled clone that a test may change."""
    return completed(tmp_path, project, pulled)


def weights(bench: Bench, stage: str) -> list[Path]:
    return list(bench.store.glob(f"runs/{stage}/*/*.safetensors"))


def test_after_a_pull_nothing_is_to_do(clone: Bench, built: Bench) -> None:
    assert clone.would_run() == set()
    assert clone.runs().keys() == built.runs().keys()
    assert weights(clone, "*") == []
    verified = dropnas(clone, "verify")
    assert "0 problems" in verified.stdout and "without weights or images" in verified.stdout


def test_after_one_changed_retraining_value_only_what_follows_runs(clone: Bench) -> None:
    clone.configure(retrain={"epochs": 2})
    assert clone.would_run() == {"retrain", "select", "transfer", "figure", "table"}
    clone.run("table1", "--until", "select")
    assert weights(clone, "search") == []  # not needed by a retraining
    assert len(list(clone.store.glob("data/digits/*/train_images.npy"))) == 1  # a job fetched them
    assert len(weights(clone, "retrain")) == 2


def test_a_stage_that_reads_weights_brings_those_and_no_others(clone: Bench, built: Bench) -> None:
    clone.remove("runs/clusters", "runs/figure/figure4-*")
    clone.run("figure4")
    searches = weights(clone, "search")
    assert 0 < len(searches) <= len(built.finished("clusters/")) and weights(clone, "retrain") == []
    found = {name: digest for name, digest in clone.contents().items() if not name.endswith(".dvcignore")}
    assert found.items() <= built.contents().items()


def test_without_the_remote_one_line_says_what_to_type(clone: Bench) -> None:
    clone.remove("runs/clusters", "runs/figure/figure4-*", ".dvc")
    failed = clone.call(clone.command("figure4"))
    assert failed.returncode != 0
    lines = [line for line in failed.stderr.splitlines() if "python -m dropnas pull --heavy" in line]
    assert lines and all("only its light part is here" in line for line in lines)
    assert "Traceback" not in failed.stderr
