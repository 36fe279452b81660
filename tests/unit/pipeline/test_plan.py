"""The plan: the runs of the paper, and which of them are shared."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dropnas.config import Machine, Method, Space, read_parameters
from dropnas.pipeline.jobs import jobs
from dropnas.pipeline.plan import ancestors, depths, make_plan, waiting
from dropnas.pipeline.specs import RUN_FOLDER
from dropnas.pipeline.stages import STAGES
from tests.in_process import verb

REPOSITORY = Path(__file__).parents[3]
WHOLE = make_plan(read_parameters(REPOSITORY / "params/paper.yaml"))
PAPER = WHOLE.by_default()
SMOKE_PARAMETERS = read_parameters(REPOSITORY / "params/smoke.yaml")
SMOKE = make_plan(SMOKE_PARAMETERS).by_default()


def runs_of(plan, target, stage):
    users = plan.used_by()
    return [run for run in plan.runs.values() if target in users[run.id] and run.stage == stage]


def test_the_paper_is_320_searches_and_336_retrainings():
    counts = Counter(run.stage for run in PAPER.runs.values())
    assert counts["search"] == counts["derive"] == 320
    assert counts["retrain"] == 320 + 2 + 14  # the two augmented ones, and those of Figure 5's two edges
    assert counts["transfer"] == 2 and counts["select"] == 2 and counts["data"] == 3
    assert counts["table"] == 6 and counts["figure"] == 6 and counts["variant"] == 14 and counts["correlation"] == 2
    assert counts["clusters"] == 32  # two methods, two data sets, eight seeds


def test_published_and_other_baselines_are_built_on_request():
    assert WHOLE.on_request == {"baselines", "table1_published", "table2_published", "table3_published"}
    assert WHOLE.runs.keys() > PAPER.runs.keys()
    more = {id_: run for id_, run in WHOLE.runs.items() if id_ not in PAPER.runs}
    counts = Counter(run.stage for run in more.values())
    assert counts["sample"] == 8 and counts["search"] == 2 * 2 * 8  # random search; DARTS' two orders
    assert counts["transfer"] == len(
        [run for run in WHOLE.targets["table3_published"].inputs if run.stage == "transfer"]
    )
    users = WHOLE.used_by()
    for job in jobs(WHOLE):
        assert len({() if run.id in PAPER.runs else tuple(users[run.id]) for run in job.runs}) == 1


def test_a_published_baseline_is_retrained_once_for_each_seed():
    trained = Counter(run.inputs[1].config.architecture for run in runs_of(WHOLE, "table1_published", "retrain"))
    assert trained["pcdarts_c10"] == 8 and set(trained.values()) == {8}
    names = {run.name for run in runs_of(WHOLE, "table1_published", "retrain")}
    assert "cifar10-pcdarts-c10-train0" in names and all(name.startswith("cifar10-") for name in names)


def test_figure5_trains_each_operation_on_both_edges():
    variants = [run.config for run in PAPER.runs.values() if run.stage == "variant"]
    edges = Counter((config.predecessor, config.node) for config in variants)
    assert edges == {(0, 2): 7, (4, 5): 7} and len({config.operation for config in variants}) == 7
    correlation = next(run for run in PAPER.runs.values() if run.stage == "correlation")
    assert [run.stage for run in correlation.inputs] == ["select"] + ["search"] * 8 + ["retrain"] * 7


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
    small = make_plan(replace(PAPER.parameters, profile="other", tables=("table6",), figures=())).by_default()
    shared = {id_ for id_, run in small.runs.items() if run.stage not in ("table", "figure")}
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
    twice = make_plan(replace(SMOKE_PARAMETERS, retrainings=2, figures=())).by_default()
    once = make_plan(replace(SMOKE_PARAMETERS, figures=())).by_default()
    first = {run.id for run in once.runs.values() if run.stage == "retrain" and "augmented" not in run.name}
    every = [run for run in twice.runs.values() if run.stage == "retrain" and "augmented" not in run.name]
    assert first < {run.id for run in every} and len(every) == 2 * len(first)
    assert sorted({run.config.seed for run in every}) == [0, 1, 1000, 1001]


def test_more_seeds_add_runs_and_change_none():
    plans = [make_plan(replace(SMOKE_PARAMETERS, seeds=count)).by_default() for count in (1, 2)]
    trained = [
        {id_ for id_, run in plan.runs.items() if run.stage in ("search", "derive", "retrain")} for plan in plans
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
    after = make_plan(replace(SMOKE_PARAMETERS, **change)).by_default()

    def ids(plan, stage):
        return {id_ for id_, run in plan.runs.items() if run.stage == stage}

    assert all(ids(SMOKE, stage) == ids(after, stage) for stage in kept)
    assert all(not ids(SMOKE, stage) & ids(after, stage) for stage in changed)


def test_smoke_has_what_it_promises():
    """Two seeds for Tables 1 and 2, at least one elsewhere; all six tables; both reduction cells."""
    for table, seeds in {"table1": 2, "table2": 2, "table4": 12, "table5": 9, "table6": 8}.items():
        assert len(runs_of(SMOKE, table, "search")) == seeds
    assert all(run.config.cells >= 3 for run in SMOKE.runs.values() if run.stage == "search")


def test_searches_that_train_as_one_are_one_job_unless_the_file_divides_them():
    together = replace(WHOLE.parameters, search=replace(WHOLE.parameters.search, group_seeds=True))
    for plan, most in ((together, 8), (replace(together, machine=Machine(runs_per_job={"search": 3})), 3)):
        made = make_plan(plan).by_default()
        for stage in ("search", "derive"):
            sizes = Counter(len(job.runs) for job in jobs(made) if job.stage == stage)
            expected = {8: 40} if most == 8 else {3: 80, 2: 40}  # 40 experiments with eight seeds
            assert sizes == expected
        for job in jobs(made):
            if job.stage == "search":
                assert len({repr(replace(run.config, seed=0)) for run in job.runs}) == 1


def test_jobs_contain_every_run_once_and_no_run_waits_inside_its_job():
    for plan in (WHOLE, PAPER, SMOKE):
        made, depth = jobs(plan), depths(plan)
        assert Counter(run.id for job in made for run in job.runs) == Counter(list(plan.runs))
        assert len({(job.rule, job.name) for job in made}) == len(made)
        assert all(len({depth[run.id] for run in job.runs}) == 1 for job in made)


def test_a_start_for_one_target_makes_no_run_of_another_and_a_later_one_makes_none_twice():
    """Ten runs per process: the jobs of a target have only its runs, in batches as large as possible."""
    settings = replace(PAPER.parameters, machine=Machine(runs_per_job={"search": 10, "retrain": 10}))
    plan = make_plan(settings)
    for target in ("table1", "table6", "figure5", "table1_published"):
        behind = {run.id for run in ancestors([plan.targets[target]])}
        own = [job for job in jobs(plan, [target]) if behind & {run.id for run in job.runs}]
        assert {run.id for job in own for run in job.runs} == behind
        assert Counter(run.id for job in jobs(plan, [target]) for run in job.runs) == Counter(list(plan.runs))
    searches = [job for job in jobs(plan, ["table1"]) if job.stage == "search"]
    assert len(searches[0].runs) == 8  # the eight seeds of DropNAS on CIFAR-10, although more runs would fit
    assert max(len(job.runs) for job in jobs(plan) if job.stage == "search") == 10


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (1, {"cifar10-original-dropnas-seed0", "cifar100-1-skip-one-level-darts-seed7"}),
        (8, {"cifar10-original-dropnas-seed0-7", "cifar100-1-skip-one-level-darts-seed0-7"}),
        (3, {"cifar10-original-dropnas-seed0-2", "cifar10-original-dropnas-seed6-7"}),
    ],
)
def test_a_jobs_name_says_data_set_method_and_seeds(size, names):
    search = replace(PAPER.parameters.search, group_seeds=True)
    made = jobs(make_plan(replace(PAPER.parameters, search=search, machine=Machine(runs_per_job={"search": size}))))
    assert names <= {job.name for job in made if job.rule == "search"}
    assert all(RUN_FOLDER.fullmatch(f"runs/{job.rule}/{job.name}") for job in made)


@pytest.mark.parametrize("plan", [WHOLE, SMOKE], ids=["whole", "smoke"])
def test_the_longest_chain_of_trainings_behind_each_run_is_known(plan):
    chains = {id_: {0} for id_ in plan.runs}  # forward: the lengths of all chains that start after a run
    for run in list(plan.runs.values())[::-1]:
        for source in run.inputs:
            chains[source.id] |= {length + STAGES[run.stage].trains for length in chains[run.id]}
    assert waiting(plan) == {id_: max(lengths) for id_, lengths in chains.items()}


def test_searches_whose_best_cell_is_transferred_run_before_others():
    behind = waiting(SMOKE)
    found = {run.name: behind[run.id] for run in SMOKE.runs.values() if run.stage == "search"}
    data = SMOKE_PARAMETERS.datasets["cifar10"]
    of_digits = f"{data.name}-{data.train_images}-{data.test_images}-original"
    assert found[f"{of_digits}-dropnas-seed1"] == 2  # retrained, then augmented or transferred
    assert found[f"{of_digits}-drop-rate-0.875-seed0"] == 1
    assert all(behind[run.id] == 0 for run in SMOKE.runs.values() if run.stage in ("transfer", "table", "figure"))


def test_a_users_method_and_space_get_their_rows():
    methods = (Method("Careful", "dropnas", {"rate_parameterised": 0.01}),)
    plan = make_plan(replace(SMOKE_PARAMETERS, methods=methods, spaces=(Space("No pools", "1-skip"),)))
    entries = {
        name: [(e.row, e.column) for e in last.config.entries]
        for name, last in plan.by_default().targets.items()
        if last.stage == "table"
    }
    assert ("careful", "error") in entries["table1"] and ("careful-augmented", "error") in entries["table2"]
    assert ("careful-cifar100", "error") in entries["table3"]
    assert ("cifar10/no-pools", "careful") in entries["table4"] and ("cifar10/original", "careful") in entries["table4"]


def test_the_plan_as_json(tmp_path):
    found = json.loads(verb("plan", REPOSITORY / "params/smoke.yaml", "--json", root=tmp_path).out)
    assert {run["id"] for run in found} == set(SMOKE.runs)
    for run in found:
        assert {"id", "stage", "name", "inputs", "used_by", "state", "config"} <= run.keys()
        assert run["state"] == "missing" and run["used_by"]


def with_options(plan, **options):
    parameters = plan.parameters
    return make_plan(replace(parameters, search=replace(parameters.search, options=options))).by_default()


def searches_of(plan):
    return {run.name: run.id for run in plan.runs.values() if run.stage == "search"}


def test_an_option_of_the_file_does_not_change_what_defines_a_method():
    ablations = make_plan(replace(SMOKE_PARAMETERS, tables=("table4", "table6"), figures=()))
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
    after = make_plan(replace(PAPER.parameters, derive=replace(PAPER.parameters.derive, skips="summed"))).by_default()
    ids = [{r.id: r.name for r in plan.runs.values() if r.stage == "derive"} for plan in (PAPER, after)]
    assert {name for id_, name in ids[0].items() if id_ not in ids[1]} == {
        name for name in ids[0].values() if "-3-skip-" in name
    }


def test_a_users_ablation_is_a_column_of_table6():
    own = Method("No grouping, own rate", "no-grouping", {"grouping": "one-group-own-rate"})
    plan = make_plan(replace(SMOKE_PARAMETERS, methods=(own,)))
    entries = {(e.row, e.column): e.label for e in plan.targets["table6"].config.entries}
    assert entries["cifar10", "no-grouping-own-rate"] == own.label and entries["cifar10", "no-grouping"] == ""
