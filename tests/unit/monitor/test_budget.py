"""A budget: the largest part of a plan that fits, as a parameter file."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropnas.analysis.comparison import difference, sample
from dropnas.config import read_parameters, write_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.budget import FEWEST_SEEDS, STD_CIFAR10, detectable, dispensable, most_seeds, reduced, with_seeds
from dropnas.monitor.estimate import Known, add_measured, read_known
from dropnas.monitor.ladder_view import Ladder, fitting_lines
from dropnas.monitor.work import epoch_images
from dropnas.pipeline.freeze import plan_content
from dropnas.pipeline.plan import make_plan
from tests.unit.monitor.stored import measured, of_stage, publish, publish_data, took

REPOSITORY = Path(__file__).parents[3]
PAPER = read_parameters(REPOSITORY / "params/paper.yaml")
MICRO = read_parameters(REPOSITORY / "tests/workflow/micro.yaml")
FILES = sorted(REPOSITORY.glob("params/*.yaml"))


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Known:
    """A GPU that makes a thousand images a second of everything."""
    root = tmp_path_factory.mktemp("root")
    kinds = read_known(root, PAPER.machine).work_to_measure(runs_of(PAPER))
    images = {kind: epoch_images(run["stage"], run["config"], shape) for kind, (run, shape) in kinds.items()}
    add_measured(root, [measured(kind, (number or 25_000) / 1000) for kind, number in images.items()])
    return read_known(root, PAPER.machine)


def runs_of(parameters):
    return plan_content(make_plan(parameters))["runs"]


def price_by_count(parameters):
    """An hour for each seed of each target, and one for each rate. It grows with all that can be reduced."""
    seeds = sum(parameters.seeds_of.get(name, parameters.seeds) for name in (*parameters.tables, *parameters.figures))
    return float(seeds * parameters.retrainings + len(parameters.drop_rates) * ("figure2" in parameters.figures))


PLENTY = replace(PAPER, seeds_of={"table1": 12, "figure5": 2}, retrainings=2)


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 220))
def test_what_fits_never_exceeds_the_budget_and_has_the_most_seeds(budget):
    found = reduced(PLENTY, dispensable(PLENTY), FEWEST_SEEDS, budget, price_by_count)
    assert found.hours == price_by_count(found.parameters) <= budget
    most = max(found.parameters.seeds, *found.parameters.seeds_of.values(), 0)
    assert most >= FEWEST_SEEDS
    kept = replace(PLENTY, **{name: getattr(found.parameters, name) for name in ("tables", "figures", "retrainings")})
    kept = replace(kept, drop_rates=found.parameters.drop_rates)
    more = replace(with_seeds(kept, most + 1), seeds_of={**with_seeds(kept, most + 1).seeds_of})
    assert most == 12 or price_by_count(more) > budget or more == with_seeds(kept, most)


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 220))
def test_removed_targets_do_not_fit_even_with_the_fewest_seeds(budget):
    found = reduced(PLENTY, dispensable(PLENTY), FEWEST_SEEDS, budget, price_by_count).parameters
    for kind in ("tables", "figures"):
        for name in set(getattr(PLENTY, kind)) - set(getattr(found, kind)):
            back = replace(found, **{kind: (*getattr(found, kind), name)})
            assert price_by_count(with_seeds(back, FEWEST_SEEDS)) > budget


def test_seeds_go_first_then_figures_then_tables_and_never_the_protocol(known):
    left = Ladder(known, (), None).left
    total, may_go = left(PAPER), dispensable(PAPER)
    found = {part: reduced(PAPER, {} if part == 0.7 else may_go, 3, part * total, left) for part in (0.7, 0.4, 0.2)}
    assert not reduced(PAPER, {}, 3, 0.2 * total, left) and most_seeds(found[0.7].parameters) < 8
    assert "without figure2" in found[0.2].lacks and "table4" in found[0.4].parameters.tables
    assert {*found[0.2].parameters.tables} < {*PAPER.tables} and "table1" in found[0.2].parameters.tables
    for one in found.values():
        for section in ("search", "derive", "retrain", "augmented", "select", "transfer", "datasets", "machine"):
            assert getattr(one.parameters, section) == getattr(PAPER, section)


@pytest.fixture
def file(tmp_path) -> Path:
    """The paper's file, outside of the ladder's folder."""
    return Path(shutil.copy(REPOSITORY / "params/paper.yaml", tmp_path / "mine.yaml"))


def test_what_fits_is_a_parameter_file(known, file, tmp_path):
    left, out = Ladder(known, (), None).left, tmp_path / "less.yaml"
    total = left(PAPER)
    unit, fits, power, *_, last = fitting_lines(file, known, 0.5 * total, out)
    written = read_parameters(out)
    assert written.seeds < 8 and written.profile == "less" and left(written) <= 0.5 * total
    assert unit == "Hours: GPU-hours on A GPU." and f"paper, {written.seeds} instead of 8 seeds" in fits
    assert "seeds detect a difference of" in power and last == f"{out}: written."
    assert out.read_text().startswith(f"# paper, {written.seeds} instead of 8 seeds")
    ids, all_ids = ({run["id"] for run in runs_of(some) if run["stage"] == "search"} for some in (written, PAPER))
    assert ids < all_ids  # it shares its searches with the original


def test_detectable_differences_against_a_simulation():
    """The verdict's own test finds the detectable difference about four times in five."""
    random = np.random.default_rng(0)
    for seeds, at_least, at_most in ((2, 0.68, 0.9), (3, 0.74, 0.86), (8, 0.72, 0.84)):
        ours = random.normal(detectable(seeds), STD_CIFAR10, (2000, seeds))
        paper = random.normal(0, STD_CIFAR10, (2000, 8))
        pairs = zip(ours.tolist(), paper.tolist(), strict=True)
        found = [difference(sample(one), sample(other)).p_different() < 0.05 for one, other in pairs]
        assert at_least < np.mean(found) < at_most
    assert detectable(8) < detectable(5) < detectable(3) < detectable(2)


def test_another_file_is_not_overwritten(known, file):
    before = file.read_text()
    with pytest.raises(DropnasError, match=r"mine\.yaml: already exists"):
        list(fitting_lines(file, known, 0.5 * Ladder(known, (), None).left(PAPER), file))
    assert file.read_text() == before


def test_all_of_it_may_fit_and_the_smallest_may_not(known, file):
    _, fits, power, *_ = fitting_lines(file, known, 1e9)
    assert fits.startswith("1e+09 hours: paper: ") and power.startswith("8 seeds detect")
    with pytest.raises(DropnasError, match=r"nothing fits into 1 hours.*table1 with 3 seeds, takes \d"):
        list(fitting_lines(file, known, 1))
    with pytest.raises(DropnasError, match="not a number of hours"):
        list(fitting_lines(file, known, float("nan")))


def test_without_known_hours_no_budget_is_kept(tmp_path):
    with pytest.raises(DropnasError, match=r"unknown.*plan --measure"):
        list(fitting_lines(REPOSITORY / "tests/workflow/micro.yaml", read_known(tmp_path, MICRO.machine), 200))


def test_what_is_done_leaves_room(tmp_path):
    plan = make_plan(MICRO).by_default()
    publish_data(tmp_path, plan)
    trainings = [run for stage in ("search", "retrain", "transfer") for run in of_stage(plan, stage)]
    for run in trainings[:-1]:
        publish(tmp_path, run, **took(3600))
    assert Ladder(read_known(tmp_path, MICRO.machine), (), None).left(MICRO) == 1  # as the equal run took


@pytest.mark.parametrize("file", [*FILES, REPOSITORY / "tests/example/warm.yaml"], ids=lambda file: file.name)
def test_a_written_file_reads_as_what_was_written(tmp_path, file):
    parameters = read_parameters(file)
    write_parameters(parameters, tmp_path / "again.yaml", ["A header,", "", "of lines."])
    assert read_parameters(tmp_path / "again.yaml") == parameters
    assert len((tmp_path / "again.yaml").read_text().splitlines()) < 80
