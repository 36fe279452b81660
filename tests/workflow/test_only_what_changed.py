"""Only what changed runs again: through real Snakemake on a completed store, with `.snakemake` kept and deleted."""

import ast
import os
import random
from pathlib import Path

import pytest

FROM_SEARCH = {"search", "genotype", "retrain", "select", "transfer", "clusters", "figure", "table"}


def reformat(file: Path) -> None:
    """Another docstring everywhere, no comment left, another layout: the same program."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant("Something else."))
    file.write_text("# Another comment.\n\n\n" + ast.unparse(tree) + "\n")


def edit(file: Path) -> None:
    file.write_text(file.read_text() + "\nEDITED = True\n")


def test_nothing_changed_nothing_to_do(bench):
    assert bench.would_run() == set()
    assert "nothing to do: all" in bench.run()


def test_plain_snakemake_decides_the_same(bench):
    plain = bench.plain("--configfile", str(bench.parameters))
    assert plain.returncode == 0, plain.stderr
    assert "Nothing to be done" in plain.stdout + plain.stderr


def test_comments_docstrings_and_layout_rerun_nothing(bench):
    for file in bench.checkout.rglob("*.py"):
        reformat(file)
    assert bench.would_run() == set()


def test_dropout_code_reruns_searches_and_what_follows(bench):
    edit(bench.checkout / "dropnas" / "search" / "dropout.py")
    assert bench.would_run() == FROM_SEARCH


def test_retraining_code_leaves_searches(bench):
    edit(bench.checkout / "dropnas" / "evaluate" / "cifar_network.py")
    assert bench.would_run().isdisjoint({"prepare", "search", "genotype"})


def test_table_code_reruns_tables_alone(bench):
    edit(bench.checkout / "dropnas" / "report" / "grid.py")
    assert bench.would_run() == {"table"}


def test_retraining_value_leaves_searches(bench):
    bench.configure(retrain={"epochs": 2})
    assert bench.would_run() == {"retrain", "select", "transfer", "figure", "table"}
    bench.configure()
    assert bench.would_run() == set()


def test_code_of_the_drawings_redraws_figures_alone(bench):
    edit(bench.checkout / "dropnas" / "report" / "figures" / "cell_layout.py")
    assert bench.would_run() == {"figure"}


def test_published_baselines_are_run_only_on_request(bench):
    assert bench.would_run("table1_published") == {"genotype", "retrain", "table"}
    assert bench.would_run("baselines") >= {"genotype", "search", "retrain", "table"}


def test_machine_settings_rerun_nothing(bench):
    bench.configure(machine={"memory_mb": 4000, "runs_per_job": {"search": 1, "retrain": 1}})
    assert bench.would_run() == set()


def test_shuffled_file_times_rerun_nothing(bench):
    draw = random.Random(0)
    for path in [*bench.store.glob("runs/**/*"), *bench.store.glob("data/**/*")]:
        moment = draw.randrange(1_000_000_000, 2_000_000_000)
        os.utime(path, (moment, moment))
    assert bench.would_run() == set()


def test_pruned_intermediate_runs_rerun_nothing(bench):
    stages = ("search", "derive", "retrain", "select", "transfer", "clusters")
    bench.remove("data", *(f"runs/{stage}" for stage in stages))
    assert bench.would_run() == set()


def test_some_pruned_runs_cost_only_themselves(bench):
    bench.remove("runs/retrain", "runs/table/table1-*")
    assert bench.would_run("table1") <= {"retrain", "select", "table"}


def test_a_changed_value_makes_only_its_runs_and_back_costs_nothing(bench):
    before = bench.runs()
    bench.configure(transfer={"label_smoothing": 0.2})
    bench.run()
    after = bench.runs()
    assert before.items() <= after.items()
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == {"transfer", "table"}
    assert not any("table1" in name for name in after.keys() - before.keys())
    bench.configure()
    assert bench.would_run() == set()


@pytest.mark.parametrize("bench", ["records-kept"], indirect=True)
def test_more_seeds_run_only_the_new_ones(bench):
    before = bench.runs()
    bench.configure(seeds_of={"table1": 3})
    bench.run("table1")
    after = bench.runs()
    assert before.items() <= after.items()
    searches = [name for name in after.keys() - before.keys() if name.startswith("runs/search/")]
    assert len(searches) == 1 and "seed2" in searches[0]


@pytest.mark.parametrize("bench", ["records-kept"], indirect=True)
def test_one_table_does_not_make_the_others(bench):
    bench.remove("runs")
    assert "transfer" not in bench.would_run("table1")


def test_results_are_refreshed_when_nothing_was_to_do(bench):
    results = bench.store / "results" / "micro" / "tables" / "table1.md"
    assert results.is_file()
    results.unlink()
    bench.run()
    assert results.is_file()


def test_the_copy_in_results_is_no_target(bench):
    (bench.store / "results" / "micro" / "tables" / "table1.md").write_text("edited by hand\n")
    assert bench.would_run() == set()
