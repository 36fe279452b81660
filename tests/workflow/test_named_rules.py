"""Named rules as Snakemake users expect them: stages, jobs and resources can be named on the command line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import JOB, PROJECT, Bench, make_bench


@pytest.fixture
def empty(project: Path, tmp_path: Path) -> Bench:
    """A checkout and an empty store."""
    return make_bench(tmp_path, project)


def test_a_stage_can_be_named(empty: Bench) -> None:
    """`--until`, `--omit-from`, a single table; and a job's line has data set, method and seeds."""
    assert empty.would_run("table1", "--until", "search") == {"prepare", "search"}
    assert empty.would_run("table3", "--omit-from", "transfer") == {
        "prepare",
        "search",
        "genotype",
        "retrain",
        "select",
    }
    jobs = JOB.findall(empty.run("--dry-run", "table1"))
    assert {rule for rule, _ in jobs} == {"prepare", "search", "genotype", "retrain", "select", "table"}
    names = {name for rule, name in jobs if rule in ("search", "genotype")}
    assert names == {"digits-64-40-original-dropnas-seed0-1"}


def test_resources_and_threads_of_a_stage_can_be_set(empty: Bench) -> None:
    options = ("--set-resources", "search:mem_mb=12345", "retrain:runtime=77", "--set-threads", "retrain=2")
    said = empty.run("--dry-run", "table1", "--cores", "4", *options)
    asked = dict(re.findall(r"^Job \d+: (\w+) .*(\(.*\))$", said, re.MULTILINE))
    assert asked["search"] == "(threads=1 gpu=0 mem_mb=12345 runtime=1440)"
    assert asked["retrain"] == "(threads=2 gpu=0 mem_mb=16000 runtime=77)"


def test_the_graph_of_the_papers_rules_fits_on_a_page(tmp_path: Path) -> None:
    command = ["run", "params/paper.yaml", "--root", str(tmp_path), "--rulegraph"]
    done = subprocess.run(
        [sys.executable, "-m", "dropnas", *command], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    boxes = re.findall(r'\[label = "(\w+)"', done.stdout)
    assert {"prepare", "search", "genotype", "retrain", "select", "transfer", "table", "figure"} < set(boxes)
    assert len(boxes) == len(set(boxes)) <= 15


def test_lint_finds_nothing(empty: Bench) -> None:
    for done in (empty.call(empty.command("--lint")), empty.plain("--lint", "--configfile", str(empty.parameters))):
        assert done.returncode == 0 and "in a good condition" in done.stderr, done.stderr


def test_the_report_shows_each_table_and_figure(bench: Bench) -> None:
    said = bench.run("--report", "report.html")
    page = (bench.store / "report.html").read_text()
    assert set(re.findall(r"Adding (\w+)", said)) == {"table1", "table3", "figure3", "figure4"}
    assert "those of this profile next to those that the paper prints" in page and "WARNING" not in said
    summary = bench.run("--summary")
    assert {line.split("\t")[2] for line in summary.splitlines() if line.startswith("plans/")} >= {"search", "retrain"}


def test_a_job_that_proves_nothing_fails(empty: Bench, built: Bench) -> None:
    """A job that succeeds without a result leaves no marker, and no other job uses it."""
    shutil.copytree(built.store / "data", empty.store / "data")
    (empty.checkout / "workflow" / "scripts" / "logged.sh").write_text("exit 0\n")
    ended = empty.call(empty.command("table1", "--latency-wait", "0"))
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0 and "/done/search/" in said and "missing" in said.lower()


def test_a_marker_without_its_runs_counts_for_nothing(bench: Bench) -> None:
    """All markers follow the store, even old ones; and Snakemake can delete only markers."""
    bench.remove("runs/retrain", "runs/table/table1-*")
    assert bench.would_run("table1") == {"retrain", "select", "table"}
    before = bench.runs()
    bench.run("--delete-all-output", "--cores", "1")
    assert bench.runs() == before
