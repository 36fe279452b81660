"""A budget: the largest part of a plan that fits, as a parameter file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropnas.analysis.comparison import difference, sample
from dropnas.config import read_parameters, write_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.budget import (
    FEWEST_SEEDS,
    STD_CIFAR10,
    detectable,
    fit,
    hours_left,
    most_seeds,
    reduced,
    with_seeds,
)
from dropnas.monitor.estimate import Known, add_measured, read_known
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
    epochs = {kind: (kind.trained or 25_000) / 1000 for kind in kinds}
    add_measured(root, [measured(kind, s) for kind, s in epochs.items()])
    return read_known(root, PAPER.machine)


def runs_of(parameters):
    return plan_content(make_plan(parameters))["runs"]


def price_by_count(parameters):
    """An hour for each seed of each target, and one for each rate; quick, and it grows with all that can be reduced."""
    seeds = sum(parameters.seeds_of.get(name, parameters.seeds) for name in (*parameters.tables, *parameters.figures))
    return float(seeds * parameters.retrainings + len(parameters.drop_rates) * ("figure2" in parameters.figures))


PLENTY = replace(PAPER, seeds_of={"table1": 12, "figure5": 2}, retrainings=2)


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 220))
def test_what_fits_never_exceeds_the_budget_and_has_the_most_seeds(budget):
    found = reduced(PLENTY, budget, price_by_count)
    assert found.hours == price_by_count(found.parameters) <= budget
    most = max(found.parameters.seeds, *found.parameters.seeds_of.values(), 0)
    assert most >= FEWEST_SEEDS
    kept = replace(PLENTY, **{name: getattr(found.parameters, name) for name in ("tables", "figures", "retrainings")})
    kept = replace(kept, drop_rates=found.parameters.drop_rates)
    more = replace(with_seeds(kept, most + 1), seeds_of={**with_seeds(kept, most + 1).seeds_of})
    assert most == 12 or price_by_count(more) > budget or more == with_seeds(kept, most)


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 220))
def test_what_went_does_not_fit_even_with_the_fewest_seeds(budget):
    found = reduced(PLENTY, budget, price_by_count).parameters
    for kind in ("tables", "figures"):
        for name in set(getattr(PLENTY, kind)) - set(getattr(found, kind)):
            back = replace(found, **{kind: (*getattr(found, kind), name)})
            assert price_by_count(with_seeds(back, FEWEST_SEEDS)) > budget


def test_seeds_go_first_then_figures_then_tables_and_never_the_protocol(known):
    total = hours_left(known, PAPER)
    found = {part: reduced(PAPER, part * total, lambda some: hours_left(known, some)) for part in (0.7, 0.4, 0.2)}
    lost = {part: one.lacks for part, one in found.items()}
    assert not lost[0.7] and most_seeds(found[0.7].parameters) < 8
    assert "figure2" in lost[0.2] and not any(name.startswith("table") for name in lost[0.4])
    assert any(name.startswith("table") for name in lost[0.2]) and "table1" not in lost[0.2]
    for one in found.values():
        for section in ("search", "derive", "retrain", "augmented", "select", "transfer", "datasets", "machine"):
            assert getattr(one.parameters, section) == getattr(PAPER, section)


def test_what_fits_is_a_parameter_file(known, tmp_path):
    total, out = hours_left(known, PAPER), tmp_path / "less.yaml"
    lines = list(fit(known, PAPER, Path("params/paper.yaml"), 0.5 * total, out))
    written = read_parameters(out)
    assert written.seeds < 8 and written.profile == f"paper-{0.5 * total:.6f}".rstrip("0").rstrip(".") + "h"
    assert hours_left(known, written) <= 0.5 * total
    assert lines[1].startswith("  seeds: 8 -> ") and "is found four times in five from 0.23 -> " in lines[1]
    assert out.read_text().startswith("# params/paper.yaml, reduced to") and str(out) in lines[0]
    ids, all_ids = ({run["id"] for run in runs_of(some) if run["stage"] == "search"} for some in (written, PAPER))
    assert ids < all_ids  # it shares its searches with the original


def test_detectable_differences_against_a_simulation():
    """The verdict's own test finds the difference that it should about four times in five."""
    random = np.random.default_rng(0)
    for seeds, at_least, at_most in ((2, 0.68, 0.9), (3, 0.74, 0.86), (8, 0.72, 0.84)):
        ours = random.normal(detectable(seeds), STD_CIFAR10, (2000, seeds))
        paper = random.normal(0, STD_CIFAR10, (2000, 8))
        pairs = zip(ours.tolist(), paper.tolist(), strict=True)
        found = [difference(sample(one), sample(other)).p_different() < 0.05 for one, other in pairs]
        assert at_least < np.mean(found) < at_most
    assert detectable(8) < detectable(5) < detectable(3) < detectable(2)


def test_another_file_is_not_overwritten(known, tmp_path):
    out = tmp_path / "mine.yaml"
    out.write_text("# mine\n")
    with pytest.raises(DropnasError, match=r"mine\.yaml: is there already"):
        list(fit(known, PAPER, Path("paper.yaml"), 0.5 * hours_left(known, PAPER), out))
    assert out.read_text() == "# mine\n"


def test_all_of_it_may_fit_and_the_smallest_may_not(known, tmp_path):
    assert next(fit(known, PAPER, tmp_path / "paper.yaml", 1e9, None)).startswith("All of it fits")
    with pytest.raises(DropnasError, match=r"nothing fits into 1 device-hours.*table1 with 3 seeds takes \d"):
        list(fit(known, PAPER, tmp_path / "paper.yaml", 1, None))
    with pytest.raises(DropnasError, match="no number of hours"):
        list(fit(known, PAPER, tmp_path / "paper.yaml", float("nan"), None))
    assert list(tmp_path.iterdir()) == []


def test_without_known_hours_no_budget_is_kept(tmp_path):
    with pytest.raises(DropnasError, match=r"unknown.*plan --measure"):
        list(fit(read_known(tmp_path, PAPER.machine), PAPER, Path("paper.yaml"), 200, None))


def test_what_is_done_leaves_room(tmp_path):
    plan = make_plan(MICRO).by_default()
    publish_data(tmp_path, plan)
    trainings = [run for stage in ("search", "retrain", "transfer") for run in of_stage(plan, stage)]
    for run in trainings[:-1]:
        publish(tmp_path, run, **took(3600))
    assert hours_left(read_known(tmp_path, MICRO.machine), MICRO) == 1  # as its equal did


@pytest.mark.parametrize("file", [*FILES, REPOSITORY / "tests/example/warm.yaml"], ids=lambda file: file.name)
def test_a_written_file_reads_as_what_was_written(tmp_path, file):
    parameters = read_parameters(file)
    write_parameters(parameters, tmp_path / "again.yaml", ["A header,", "", "of lines."])
    assert read_parameters(tmp_path / "again.yaml") == parameters
    assert len((tmp_path / "again.yaml").read_text().splitlines()) < 80
