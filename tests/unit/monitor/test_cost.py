"""Costs of runs: their own time, that of runs of their kind, the probe's measurement, or unknown."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas import Series

from dropnas.config import Machine, read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.costs import TOTAL, costs
from dropnas.monitor.estimate import THROUGHPUT_FILE, Device, Hours, Measured, add_measured, read_known, read_measured
from dropnas.monitor.speed_probe import measure, through_line, trusted
from dropnas.monitor.work import Shape, declared_shape, kind_of
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from dropnas.runs.identity import Run, resolved
from tests.unit.monitor.stored import GPU, measured, of_stage, publish, publish_data, took

REPOSITORY = Path(__file__).parents[3]
MICRO = make_plan(read_parameters(REPOSITORY / "tests/workflow/micro.yaml"))
PAPER = make_plan(read_parameters(REPOSITORY / "params/paper.yaml"))
RUNS = plan_content(MICRO)["runs"]
DEFAULT_RUNS = plan_content(MICRO.by_default())["runs"]
PAPER_RUNS = plan_content(PAPER.by_default())["runs"]
HERE = Machine(device="cpu")
PAPER_FRAME = read_known(Path("nowhere"), HERE).frame(PAPER_RUNS).assign(state="missing")
DIGITS = Shape(64, 40, 6, 6)  # the first data set of the store


def estimates(root: Path, machine: Machine = HERE, runs: list[dict] = RUNS) -> dict[str, tuple[float, str]]:
    """Hours and their basis by the ids of runs."""
    frame = read_known(root, machine).frame(runs)
    return dict(zip(frame.index, zip(frame.hours, frame.basis, strict=True), strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish_data(tmp_path, MICRO)
    return tmp_path


def searches() -> list[Run]:
    """Two searches of the same kind, then one on other data."""
    return of_stage(MICRO, "search")


def test_without_measurements_hours_are_unknown(tmp_path):
    found = estimates(tmp_path)
    stages = {run["id"]: run["stage"] for run in RUNS}
    for id_, estimate in found.items():
        trains = stages[id_] in ("search", "retrain", "transfer")
        assert str(estimate) == ("(nan, 'unknown')" if trains else "(0.0, 'a moment')")


def test_a_finished_run_counts_its_real_seconds_also_for_equal_runs(root):
    first, second, other = searches()[:3]
    publish(root, first, **took(7200))
    found = estimates(root)
    assert found[first.id] == (2.0, "took")
    assert found[second.id] == (2.0, "equal runs")
    assert found[other.id][1] == "unknown"


def test_the_median_of_the_newest_counts(root):
    first, second, _ = searches()[:3]
    longer = [replace(first, config=replace(first.config, seed=seed)) for seed in range(10, 20)]
    for day, run in enumerate(longer, start=1):
        publish(root, run, **took(3600.0 if day <= 2 else 3600 * day, day=day))
    assert estimates(root)[second.id] == (6.5, "equal runs")  # of 3, 4 … 10


def test_throughput_is_taken_from_runs_of_another_length(root):
    """64 images at 32 a second are two seconds an epoch, whatever the start-up took."""
    first, second, _ = searches()[:3]
    publish(root, replace(first, config=replace(first.config, epochs=3)), **took(999, images_per_second=32))
    assert estimates(root)[second.id] == (pytest.approx(2 / 3600), "same kind")


@pytest.mark.parametrize(
    "change", [{"cells": 4}, {"channels": 3}, {"batch_size": 16}, {"precision": "bf16"}, {"space": "1-skip"}]
)
def test_no_estimate_is_taken_from_other_work(root, change):
    first, second, _ = searches()[:3]
    publish(root, replace(first, config=replace(first.config, **change)), **took(60))
    assert math.isnan(estimates(root)[second.id][0])


@pytest.mark.parametrize("change", [{"learning_rate": 0.1}, {"seed": 9}, {"options": {"rate_parameterised": 1e-4}}])
def test_what_costs_nothing_changes_no_kind(root, change):
    first, second, _ = searches()[:3]
    publish(root, replace(first, config=replace(first.config, **change)), **took(60))
    assert estimates(root)[second.id][1] == "equal runs"


def test_strategies_that_compute_differently_are_different_kinds():
    def kind(strategy, **options):
        config = {**resolved(searches()[0].config), "strategy": strategy, "options": options}
        return kind_of("search", config, DIGITS)

    few = {kind("dropnas"), kind("no-grouping"), kind("no-alpha-adjust"), kind("dropnas", rate_parameterised=1e-3)}
    assert len(few) == 1
    others = [
        kind(name)
        for name in ("one-level-darts", "drop-rate-0.875", "darts-first-order", "darts-second-order", "my:OWN")
    ]
    assert len({*few, *others}) == 6


def test_times_of_one_device_say_nothing_of_another(root):
    first, second, _ = searches()[:3]
    publish(root, first, **took(3600))
    publish(root, replace(first, config=replace(first.config, seed=7)), **{**took(36), **GPU})
    assert estimates(root)[second.id][0] == 1  # the file's jobs run on CPUs
    assert estimates(root, Machine(device="auto"))[second.id][0] == 0.01
    assert estimates(root, Machine(device="cpu", threads=2))[second.id][1] == "unknown"


def test_each_process_of_a_transfer_holds_a_device(root):
    transfer = of_stage(MICRO, "transfer")[0]
    publish(root, transfer, **took(3600, processes=8))
    assert estimates(root)[transfer.id][0] == 8


def test_a_manifest_that_does_not_say_what_the_run_took_is_named(root):
    first = searches()[0]
    publish(root, first, **{**took(60), "statistics": {}})
    with pytest.raises(DropnasError, match=f"{first.id}.*does not record how long the run took"):
        estimates(root)


PROCESSOR = Device("A processor", "cpu", 1)


def probed(run: Run, seconds: float, day: int, device: Device = PROCESSOR) -> Measured:
    return measured(kind_of(run.stage, resolved(run.config), DIGITS), seconds, day, device)


def test_the_probe_counts_where_no_run_does_and_for_its_device_only(root):
    first, second, _ = searches()[:3]
    add_measured(root, [probed(first, 1800, day=1)])
    assert estimates(root)[first.id] == (0.5, "probe")
    add_measured(root, [probed(first, 900, day=2)])
    assert len(read_measured(root)) == 1 and estimates(root)[first.id] == (0.25, "probe")
    add_measured(root, [probed(first, 1, 3, Device("A GPU", "cuda"))])
    assert estimates(root)[first.id][0] == 0.25
    publish(root, first, **took(7200))
    assert estimates(root)[second.id] == (2.0, "equal runs")


@pytest.mark.parametrize("text", ["{}", "[1]", '{"measured": [{"device": {}}]}', "no JSON"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / THROUGHPUT_FILE).parent.mkdir()
    (tmp_path / THROUGHPUT_FILE).write_text(text)
    with pytest.raises(DropnasError, match=r"throughput\.json"):
        read_measured(tmp_path)


def test_the_shape_of_what_is_not_prepared():
    cifar = {"name": "cifar10", "train_images": 0, "test_images": 100}
    assert declared_shape(cifar) == Shape(50_000, 100, 32, 32)
    assert declared_shape({**cifar, "name": "flowers"}) is None


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**9))
def test_added_hours_sum_to_the_total_in_any_order(seed):
    random, targets = Random(seed), list(PAPER.by_default().targets)
    random.shuffle(targets)
    hours = [random.choice([math.nan, random.uniform(0, 100)]) for _ in PAPER_RUNS]
    found = costs(PAPER_FRAME.assign(hours=hours, left=hours), targets, ())
    total = found.hours[TOTAL]
    assert sum(cost.known for cost in found.added.drop(TOTAL)) == pytest.approx(total.known)
    assert sum(cost.unknown for cost in found.added.drop(TOTAL)) == total.unknown
    assert str(found.added[targets[0]]) == str(found.hours[targets[0]])


def test_the_runs_of_each_target_and_in_total():
    """Counted again, target by target."""
    found = costs(PAPER_FRAME, list(PAPER.by_default().targets), ())
    for target, row in found.drop(TOTAL).iterrows():
        own = [run for run in PAPER_RUNS if target in run["used_by"]]
        trained = [run for run in own if run["stage"] in ("search", "retrain", "transfer")]
        assert row.missing == len(own) and row.search + row.retrain + row.transfer == len(trained)
        assert row.shared == sum(len({*run["used_by"]} & {*found.index}) > 1 for run in trained)
    assert found.missing[TOTAL] == len(PAPER_RUNS) and found.search[TOTAL] == 320


def test_finished_runs_have_no_hours_left(root):
    publish(root, searches()[0], **took(7200))
    total = costs(read_known(root, HERE).frame(RUNS).assign(state=""), list(MICRO.targets), ()).loc[TOTAL]
    assert total.hours.known - total.left.known == pytest.approx(2)


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (Hours(1234.5), "1,234"),
        (Hours(12.34), "12.3"),
        (Hours(0.5), "0.50"),
        (Hours(0.0123), "0.012"),
        (Hours(), "0"),
        (Hours(0, 3), "?"),
        (Hours(12.34, 1), "> 12.3"),
    ],
)
def test_hours_in_words(hours, text):
    assert str(hours) == text


def test_unknown_hours_are_counted_and_never_taken_for_zero(root):
    assert Hours.of(Series([1.5, math.nan, 2.0, math.nan])) == Hours(3.5, 2)
    publish(root, searches()[0], **took(7200))
    left = costs(read_known(root, HERE).frame(RUNS).assign(state=""), list(MICRO.targets), ()).loc[TOTAL].left
    assert left.unknown and str(left).startswith(("?", "> "))


def test_the_authors_speed():
    """184 and 136 searches at 0.6 and 0.7 days (Table 5 has 48 more), 336 retrainings, two of 1,200 epochs."""
    assert PAPER_FRAME.authors.sum() / 24 == pytest.approx(184 * 0.6 + 136 * 0.7 + 336 + 2)
    assert not read_known(Path("nowhere"), HERE).frame(RUNS).authors.any()


@given(st.floats(0, 1), st.floats(0.001, 1), st.integers(3, 64), st.integers(64, 512))
def test_a_line_is_extrapolated_exactly(fixed, an_image, size, full):
    found = through_line(2, [fixed + 2 * an_image], size, [fixed + size * an_image], full)
    assert found.seconds == pytest.approx(fixed + full * an_image) and found.spread == pytest.approx(0, abs=1e-6)


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.integers(2, 64), st.integers(64, 512))
def test_noise_extrapolates_to_no_less_than_was_seen_and_no_more_than_proportion(shortest, took, size, full):
    found = through_line(2, [shortest], size, [took], full).seconds
    assert took * 0.999 <= found <= took * full / size * 1.001


def test_an_impossible_line_has_a_large_spread():
    """Four images take ten times as long as two, each time: other work was in the way."""
    found = through_line(2, [0.1, 0.1, 0.1], 4, [1.0, 1.0, 1.0], 64)
    assert found.seconds == pytest.approx(16) and found.spread > 0.5


@given(st.lists(st.floats(1, 1.01), min_size=3, max_size=20), st.lists(st.floats(2, 2.02), min_size=3, max_size=20))
def test_repetitions_that_agree_have_a_small_spread(shortest, times):
    found = through_line(2, shortest, 32, times, 96)
    assert 0 <= found.spread < 0.05 and found.seconds == pytest.approx(2 + 64 / 30, rel=0.05)


def test_repetitions_that_differ_have_a_large_spread():
    """Under load a step of a second takes one to three; a far extrapolation makes the spread larger still."""
    shortest, times = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]
    assert through_line(2, shortest, 8, times, 8).spread == pytest.approx(3.2 / 4)
    assert through_line(2, shortest, 8, times, 96).spread > through_line(2, shortest, 8, times, 8).spread


def test_measurements_that_vary_are_not_trusted(root):
    kinds = [kind_of(run.stage, resolved(run.config), DIGITS) for run in (searches()[0], of_stage(MICRO, "retrain")[0])]
    calm, wild = measured(kinds[0], 10), measured(kinds[1], 10, spread=1.4)
    assert trusted([calm]) == ([calm], "")
    kept, line = trusted([calm, wild])
    assert kept == [calm] and "1 of 2 measurements" in line and "140%" in line and "load 0.5 on 2 CPUs" in line
    with pytest.raises(DropnasError, match=r"1 of 1 measurements.*140%.*load.*when the machine is idle"):
        trusted([wild])


def test_the_probe_times_every_kind_of_work(tmp_path):
    known = read_known(tmp_path, HERE)
    wanted = known.work_to_measure(DEFAULT_RUNS)
    assert {run["stage"] for run, _ in wanted.values()} == {"search", "retrain", "transfer"}
    lines: list[str] = []
    found = measure(wanted, HERE, lines.append, seconds=0.0, limit=math.inf)
    assert len(found) == len(wanted) == len(lines) - 1
    assert all(entry.epoch_seconds > 0 and entry.images_per_second > 0 for entry in found)
    assert {entry.device.kind for entry in found} == {"cpu"} and all("torch" in entry.versions for entry in found)
    add_measured(tmp_path, found)
    after = estimates(tmp_path, runs=DEFAULT_RUNS)
    assert {basis for _, basis in after.values()} == {"probe", "a moment"}


def test_the_probe_ends_and_begins_next_time_with_what_it_left_out(tmp_path):
    wanted = read_known(tmp_path, HERE).work_to_measure(DEFAULT_RUNS)
    first, lines = next(iter(wanted)), list[str]()
    assert measure(wanted, HERE, lines.append, limit=0.0) == []
    assert f"{len(wanted)} kinds of work were not timed within 0 s" in lines[0]
    here = Device("A processor", "cpu", HERE.threads)
    add_measured(tmp_path, [replace(measured(first, 10), device=here)])
    assert list(read_known(tmp_path, HERE).work_to_measure(DEFAULT_RUNS)) == [*list(wanted)[1:], first]


def plan_verb(root: Path, *options: str) -> str:
    command = [sys.executable, "-m", "dropnas", "plan", "tests/workflow/micro.yaml", "--root", str(root), *options]
    return subprocess.run(command, cwd=REPOSITORY, check=True, text=True, capture_output=True).stdout


def test_the_plan_shows_hours_and_what_they_rest_on(root):
    for run in MICRO.by_default().runs.values():
        if run.stage in ("search", "retrain", "transfer"):
            publish(root, run, **took(3600))
    shown = plan_verb(root)
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert " 5.00 " in lines["table1"] and "9 runs measured" in " ".join(shown.split())
    assert "A processor (CPU, 1 thread)" in shown and "On request" in shown
    hours = {run["id"]: run["hours"] for run in json.loads(plan_verb(root, "--json"))}
    assert sum(hours.values()) == 9
    # Only seed 0 of the same search has known hours; other searches have one seed.
    first = next(root.glob("runs/search/digits-*-original-dropnas-seed1-*/manifest.json")).parent
    (first / "run.json").unlink()
    (first / "manifest.json").unlink()
    first.rmdir()
    total = next(line for line in plan_verb(root).splitlines() if line.strip().startswith("total"))
    assert total.split()[-3:] == ["9.00", "9.00", "1.00"]  # hours, added, left


def test_unknown_hours_are_null_and_say_how_to_know_them(tmp_path):
    assert "run plan --measure" in plan_verb(tmp_path)
    hours = {run["stage"]: run["hours"] for run in json.loads(plan_verb(tmp_path, "--json"))}
    assert hours["search"] is None and hours["derive"] == 0


def test_costs_need_no_torch():
    script = "import sys; import dropnas.monitor.plan_view, dropnas.monitor.display; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert found.stdout.split() == ["False"]
