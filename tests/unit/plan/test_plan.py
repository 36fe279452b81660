"""The plan: which runs the paper is made of, and what they share."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dropnas.config import Method, Space, read_parameters
from dropnas.plan import depths, jobs, make_plan

REPOSITORY = Path(__file__).parents[3]
PAPER = make_plan(read_parameters(REPOSITORY / "params/paper.yaml"))
SMOKE_PARAMETERS = read_parameters(REPOSITORY / "params/smoke.yaml")
SMOKE = make_plan(SMOKE_PARAMETERS)


def runs_of(plan, target, stage):
    users = plan.used_by()
    return [run for run in plan.runs.values() if target in users[run.id] and run.stage == stage]


def test_the_paper_is_320_searches_and_322_retrainings():
    counts = Counter(run.stage for run in PAPER.runs.values())
    assert counts["search"] == counts["derive"] == 320
    assert counts["retrain"] == 320 + 2  # and the two augmented ones
    assert counts["transfer"] == 2 and counts["select"] == 2 and counts["data"] == 3 and counts["table"] == 6


@pytest.mark.parametrize(
    ("target", "searches"),
    [("table1", 8), ("table2", 8), ("table3", 16), ("table4", 96), ("table5", 72), ("table6", 64), ("figure2", 160)],
)
def test_searches_of_each_table(target, searches):
    assert len(runs_of(PAPER, target, "search")) == searches


def test_tables_share_the_same_eight_searches():
    own = [{run.id for run in runs_of(PAPER, t, "search")} for t in ("table1", "table4", "table5", "table6", "figure2")]
    assert len(set.intersection(*own)) == 8


def test_a_second_file_shares_what_agrees():
    small = make_plan(replace(PAPER.parameters, profile="other", tables=("table6",), drop_rates=()))
    shared = {id_ for id_, run in small.runs.items() if run.stage != "table"}
    assert shared <= set(PAPER.runs) and len(shared) > 100


def test_names_say_what_runs_are_and_folders_are_unique():
    names = {run.name for run in PAPER.runs.values() if run.stage == "search"}
    assert "cifar10-original-dropnas-seed0" in names
    assert "cifar100-3-skip-one-level-darts-seed7" in names
    assert "cifar10-original-dropnas-r1e-06-seed0" in names
    assert "cifar10-original-dropnas-rp0.0001-rnp1e-05-seed3" in names
    assert len({run.folder for run in PAPER.runs.values()}) == len(PAPER.runs)


def test_inputs_come_first():
    seen = set()
    for run in PAPER.runs.values():
        assert {source.id for source in run.inputs} <= seen
        seen.add(run.id)


def test_seeds_are_separate_parts_of_an_identity():
    twice = make_plan(replace(SMOKE_PARAMETERS, retrainings=2))
    first = {run.id for run in SMOKE.runs.values() if run.stage == "retrain" and "augmented" not in run.name}
    every = [run for run in twice.runs.values() if run.stage == "retrain" and "augmented" not in run.name]
    assert first < {run.id for run in every} and len(every) == 2 * len(first)
    assert sorted({run.config.seed for run in every}) == [0, 1, 1000, 1001]


def test_more_seeds_add_runs_and_change_none():
    more = make_plan(replace(SMOKE_PARAMETERS, seeds=2))
    trained = [
        {id_ for id_, run in plan.runs.items() if run.stage in ("search", "derive", "retrain")}
        for plan in (SMOKE, more)
    ]
    assert trained[0] - trained[1] == set()
    assert len(trained[1]) > len(trained[0])


@pytest.mark.parametrize(
    ("change", "kept", "changed"),
    [
        ({"retrain": replace(SMOKE_PARAMETERS.retrain, epochs=7)}, {"data", "search", "derive"}, {"retrain", "select"}),
        ({"derive": replace(SMOKE_PARAMETERS.derive, score="probability")}, {"data", "search"}, {"derive", "retrain"}),
        ({"search": replace(SMOKE_PARAMETERS.search, epochs=7)}, {"data"}, {"search", "derive", "retrain", "table"}),
        ({"transfer": replace(SMOKE_PARAMETERS.transfer, epochs=7)}, {"search", "retrain", "select"}, {"transfer"}),
        ({"machine": replace(SMOKE_PARAMETERS.machine, threads=2)}, {"data", "search", "retrain", "table"}, set()),
    ],
)
def test_only_what_depends_on_a_value_changes(change, kept, changed):
    after = make_plan(replace(SMOKE_PARAMETERS, **change))

    def ids(plan, stage):
        return {id_ for id_, run in plan.runs.items() if run.stage == stage}

    assert all(ids(SMOKE, stage) == ids(after, stage) for stage in kept)
    assert all(not ids(SMOKE, stage) & ids(after, stage) for stage in changed)


def test_smoke_has_what_it_promises():
    """n = 2 for Tables 1 and 2, at least 1 elsewhere, all six tables, both reductions."""
    for table, seeds in {"table1": 2, "table2": 2, "table4": 12, "table5": 9, "table6": 8}.items():
        assert len(runs_of(SMOKE, table, "search")) == seeds
    assert all(run.config.cells >= 3 for run in SMOKE.runs.values() if run.stage == "search")


def test_jobs_hold_every_run_once_and_wait_for_none_of_their_own():
    for plan in (PAPER, SMOKE):
        made, depth = jobs(plan), depths(plan)
        assert Counter(run.id for job in made for run in job.runs) == Counter(list(plan.runs))
        assert len({job.name for job in made}) == len(made)
        assert all(len({depth[run.id] for run in job.runs}) == 1 for job in made)


def test_a_users_method_and_space_get_their_rows():
    methods = (Method("Careful", "dropnas", {"rate_parameterised": 0.01}),)
    plan = make_plan(replace(SMOKE_PARAMETERS, methods=methods, spaces=(Space("No pools", "1-skip"),)))
    entries = {name: [(e.row, e.column) for e in last[0].config.entries] for name, last in plan.targets.items()}
    assert ("careful", "error") in entries["table1"] and ("careful-augmented", "error") in entries["table2"]
    assert ("careful-cifar100", "error") in entries["table3"]
    assert ("cifar10/no-pools", "careful") in entries["table4"] and ("cifar10/original", "careful") in entries["table4"]


def test_planning_the_paper_imports_no_torch():
    script = (
        "import sys; from pathlib import Path;"
        "from dropnas.config import read_parameters; from dropnas.plan import make_plan;"
        "make_plan(read_parameters(Path('params/paper.yaml'))); print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert found.stdout.split() == ["False", "False"]


def test_the_plan_as_json(tmp_path):
    command = [sys.executable, "-m", "dropnas", "plan", "params/smoke.yaml", "--json", "--root", str(tmp_path)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout)
    assert {run["id"] for run in found} == set(SMOKE.runs)
    for run in found:
        assert {"id", "stage", "name", "inputs", "used_by", "state", "config"} <= run.keys()
        assert run["state"] == "missing" and run["used_by"]


def with_options(plan, **options):
    parameters = plan.parameters
    return make_plan(replace(parameters, search=replace(parameters.search, options=options)))


def searches_of(plan):
    return {run.name: run.id for run in plan.runs.values() if run.stage == "search"}


def test_an_option_of_the_file_leaves_a_methods_purpose_alone():
    ablations = make_plan(replace(SMOKE_PARAMETERS, tables=("table4", "table6")))
    found = with_options(ablations, alpha_adjust="equation-3")
    strategies = {run.config.strategy: run.config.options for run in found.runs.values() if run.stage == "search"}
    assert strategies["dropnas"] == {"alpha_adjust": "equation-3"}
    assert strategies["no-alpha-adjust"] == {} and strategies["one-level-darts"] == {}


def test_an_option_changes_only_the_searches_that_it_can_change():
    before, after = searches_of(PAPER), searches_of(with_options(PAPER, drop_probability="released"))
    kept = before.keys() & after.keys()
    assert before.keys() - kept == {n for n in before if "-1-skip-dropnas" in n} and len(before.keys() - kept) == 16
    assert all(before[name] == after[name] for name in kept)


def test_summed_skips_change_only_the_derivations_of_spaces_with_several():
    after = make_plan(replace(PAPER.parameters, derive=replace(PAPER.parameters.derive, skips="summed")))
    ids = [{r.id: r.name for r in plan.runs.values() if r.stage == "derive"} for plan in (PAPER, after)]
    assert {name for id_, name in ids[0].items() if id_ not in ids[1]} == {
        name for name in ids[0].values() if "-3-skip-" in name
    }


def test_a_users_ablation_is_a_column_of_table6():
    own = Method("No grouping, own rate", "no-grouping", {"grouping": "one-group-own-rate"})
    plan = make_plan(replace(SMOKE_PARAMETERS, methods=(own,)))
    entries = {(e.row, e.column): e.label for e in plan.targets["table6"][0].config.entries}
    assert entries["cifar10", "no-grouping-own-rate"] == own.label and entries["cifar10", "no-grouping"] == ""
