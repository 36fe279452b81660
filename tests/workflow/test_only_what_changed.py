"""Only what changed runs again: through real Snakemake on a completed store.

`tests/unit/runs/test_edits.py` tests which identities each kind of edit changes. Here, Snakemake must run exactly the
runs with another identity and those that depend on them. Tests in which Snakemake might repeat a
finished job run with and without its own records in `.snakemake`.
"""

import ast
import os
import random
from pathlib import Path

from tests.workflow.conftest import JOB, Bench

FROM_SEARCH = {"search", "genotype", "retrain", "select", "transfer", "clusters", "figure", "table"}


def reformat(file: Path) -> None:
    """Change all docstrings, remove all comments and change the layout; the program stays the same."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant("Something else."))
    file.write_text("# Another comment.\n\n\n" + ast.unparse(tree) + "\n")


def shuffle_file_times(store: Path) -> None:
    draw = random.Random(0)
    for path in [*store.glob("runs/**/*"), *store.glob("data/**/*")]:
        moment = draw.randrange(1_000_000_000, 2_000_000_000)
        os.utime(path, (moment, moment))


def test_nothing_changed_nothing_to_do_but_results_are_refreshed(bench: Bench) -> None:
    results = bench.store / "results" / "micro" / "tables" / "table1.md"
    results.unlink()
    assert "nothing to do: all" in bench.run()
    assert results.is_file()


def test_plain_snakemake_decides_the_same(bench_with_or_without_records: Bench) -> None:
    bench = bench_with_or_without_records
    plain = bench.plain("--configfile", str(bench.parameters))
    assert plain.returncode == 0, plain.stderr
    assert "Nothing to be done" in plain.stdout + plain.stderr


def test_what_changes_no_number_reruns_nothing(bench_with_or_without_records: Bench) -> None:
    """Changes of comments, docstrings, layout, machine settings and file times, and an edited copy of a table."""
    bench = bench_with_or_without_records
    for file in bench.checkout.rglob("*.py"):
        reformat(file)
    bench.configure(machine={"memory_mb": 4000, "runs_per_job": {"search": 1, "retrain": 1}})
    shuffle_file_times(bench.store)
    (bench.store / "results" / "micro" / "tables" / "table1.md").write_text("edited by hand\n")
    assert bench.would_run() == set()


def test_pruned_intermediate_runs_rerun_nothing(bench_with_or_without_records: Bench) -> None:
    bench = bench_with_or_without_records
    stages = ("search", "derive", "retrain", "select", "transfer", "clusters")
    bench.remove("data", *(f"runs/{stage}" for stage in stages))
    assert bench.would_run() == set()


def test_edited_code_reruns_its_stage_and_what_follows(bench: Bench) -> None:
    file = bench.checkout / "dropnas" / "search" / "dropout.py"
    file.write_text(file.read_text() + "\nEDITED = True\n")
    assert bench.would_run() == FROM_SEARCH


def test_a_changed_value_reruns_its_stage_and_what_follows(bench: Bench) -> None:
    bench.configure(retrain={"epochs": 2})
    assert bench.would_run() == {"retrain", "select", "transfer", "figure", "table"}


def test_published_baselines_are_run_only_on_request(bench: Bench) -> None:
    assert bench.would_run("table1_published") == {"genotype", "retrain", "table"}
    assert bench.would_run("baselines") >= {"genotype", "search", "retrain", "table"}


def test_a_changed_value_makes_only_its_runs_and_back_costs_nothing(bench: Bench) -> None:
    before = bench.runs()
    bench.configure(transfer={"label_smoothing": 0.2})
    bench.run()
    after = bench.runs()
    assert before.items() <= after.items()
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == {"transfer", "table"}
    assert not any("table1" in name for name in after.keys() - before.keys())
    bench.configure()
    assert bench.would_run() == set()


def test_more_seeds_run_only_the_new_ones(bench: Bench) -> None:
    bench.configure(seeds_of={"table1": 3})
    jobs = JOB.findall(bench.run("--dry-run", "table1"))
    assert {rule for rule, _ in jobs} == {"search", "genotype", "retrain", "select", "table"}
    trained = [name for rule, name in jobs if rule in ("search", "genotype", "retrain") and "augmented" not in name]
    assert trained and all("seed2" in name for name in trained)
