"""The ladder in `plan`: the hours of each step, the looks that fit into a budget, and the power."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from dropnas.analysis.power import smallest
from dropnas.analysis.questions import Claim, Contrast, Prior, Questions
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.budget import PlanPart, fitting
from dropnas.monitor.estimate import Known, read_known
from dropnas.monitor.ladder_view import Ladder, fitting_lines, ladder, ladder_lines
from dropnas.monitor.plan_view import answer
from dropnas.pipeline.plan import make_plan
from tests.unit.monitor.stored import shown

PARAMS = Path(__file__).parents[3] / "params"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A store in which nothing was ever run."""
    return read_known(tmp_path_factory.mktemp("store"), read_parameters(PARAMS / "paper.yaml").machine)


@pytest.fixture(scope="module")
def found(known: Known) -> Ladder:
    return ladder(PARAMS / "paper.yaml", known)


def test_each_step_costs_more(found: Ladder) -> None:
    hours = list(found.of_steps().hours)
    assert hours == sorted(hours)
    assert hours[0] == 24 * 12  # retrainings of a day each
    assert found.unit.startswith("V100-hours at the authors' speed")


def test_looks_cost_between_the_first_look_and_eight_seeds(found: Ladder) -> None:
    assert found.sequential
    looks = found.looks()
    for truth in ("true", "none"):
        hours, numbers = looks[f"hours {truth}"], looks[f"numbers {truth}"]
        assert looks.most.iloc[0] < hours.iloc[-1] < looks.most.iloc[-1]
        assert hours.is_monotonic_increasing and numbers.is_monotonic_decreasing
        assert (hours <= looks.most + 1e-6).all()
    each = 184 / 8 * 1.6 + 136 / 8 * 1.7  # V100-days of a seed of each experiment
    assert looks.most[0] == pytest.approx(24 * 3 * each)
    # Augmented trainings count twice; 14 are those of Figure 5.
    assert looks.fixed[0] + looks.most.iloc[-1] == pytest.approx(24 * (8 * each + 2 * 2 + 14))


@pytest.mark.parametrize(
    ("budget", "step", "looks"),
    [
        (
            30,
            "headline, 1 instead of 3 seeds, without the cell of darts_v1, without table2_published: 24.0 h.",
            "nothing can be tested",
        ),
        (
            50,
            "headline, 2 instead of 3 seeds, without the cell of darts_v1, without table2_published: 48.0 h.",
            "(3 seeds: ",
        ),
        (150, "headline, without the cell of darts_v1: 144 h.", "Open: Does DropNAS beat"),
        (200, "200 hours: headline, 2 instead of 3 seeds: 192 h.", "Do the printed cells give"),
        (300, "300 hours: headline: 288 h.", "Open: Does each claim hold? (claims, 14,102 h)"),
        (1_000, "1000 hours: core, 3 instead of 5 seeds: ", "Nothing of sequential fits: its first look"),
        (6_000, "6000 hours: paper, 3 instead of 8 seeds: 5,162 h.", "that fit: 3, 4 seeds"),
        (20_000, "20000 hours: paper: 14,198 h.", "All of sequential fits"),
    ],
)
def test_what_fits_a_budget(known: Known, budget: float, step: str, looks: str) -> None:
    text = "\n".join(fitting_lines(PARAMS / "paper.yaml", known, budget))
    assert step in text
    assert looks in text


def test_no_larger_part_of_the_first_step_fits(found: Ladder) -> None:
    """Computed by hand: the cells of DARTS and of the authors on two data sets, a day for each training."""
    hours = found.of_steps().left
    steps = [PlanPart(step.plan.parameters, hours[step.plan.parameters.profile]) for step in found.steps]
    for budget in (24, 47, 48, 71, 72, 95, 96, 143, 144, 191, 192, 287, 288, 299):
        part = fitting(steps, budget, found.left, (2, 1))
        assert part.hours <= budget
        both = [24 * cells * seeds for cells in (1, 2, 4) for seeds in (2, 3)]
        assert part.hours == max((hours for hours in both if hours <= budget), default=24)


def test_what_fits_is_written_with_the_same_identities(known: Known, found: Ladder, tmp_path: Path) -> None:
    *_, said = list(fitting_lines(PARAMS / "headline.yaml", known, 50, tmp_path / "evening.yaml"))[:-1]
    assert said.endswith("evening.yaml: written.")
    written = make_plan(read_parameters(tmp_path / "evening.yaml")).by_default()
    trained = [run for run in written.runs.values() if run.stage == "retrain"]
    assert len(trained) == 2 and {run.id for run in trained} < set(found.steps[0].plan.runs)
    with pytest.raises(DropnasError, match="nothing fits into 20 hours"):
        list(fitting_lines(PARAMS / "headline.yaml", known, 20, tmp_path / "nothing.yaml"))


def test_the_ladder_in_words(known: Known) -> None:
    text = shown(*ladder_lines(PARAMS / "sequential.yaml", known))
    assert max(map(len, text.splitlines())) <= 80
    for word in ("headline", "core", "claims", "paper", "sequential", "Does each claim hold?", "16 seeds"):
        assert word in text


@pytest.mark.parametrize("n", [3, 8])
def test_power_is_that_of_simulated_tests(n: int) -> None:
    questions = Questions(("a", "b"), (Prior(0, 0.2, 7),) * 2, (), (Claim("c", "c", (Contrast("", (0,), (1,)),)),))
    (gap,) = smallest(questions, np.array([0.2, 0.2]), n)[0]
    random = np.random.default_rng(1)
    low, high = (random.normal(size=(20_000, n)) * 0.2 + mean for mean in (0.0, gap))
    freedom = n - 1 if n < 5 else 2 * (n - 1) - 3  # of equal deviations
    z = (high.mean(1) - low.mean(1)) / np.sqrt((low.var(1, ddof=1) + high.var(1, ddof=1)) / n)
    assert np.mean(z > student.ppf(0.95, freedom)) == pytest.approx(0.8, abs=0.06)


def test_a_file_of_the_ladder_is_answered_by_its_steps(tmp_path: Path) -> None:
    lines = list(answer(PARAMS / "paper.yaml", tmp_path, budget=1000.0))
    assert "V100-hours" in str(lines[0]) and "core" in str(lines[1])
