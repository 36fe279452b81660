"""What `plan` says of the ladder: hours of each step, looks that fit a budget, power."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from dropnas.analysis.power import smallest
from dropnas.analysis.questions import Claim, Contrast, Prior, Questions
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.estimate import Known, read_known
from dropnas.monitor.ladder_view import Ladder, fitting_lines, ladder, ladder_lines
from dropnas.monitor.looks_cost import NONE, TRUE, looks_cost
from dropnas.monitor.plan_view import Question, answer

PARAMS = Path(__file__).parents[3] / "params"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A store in which nothing was ever run."""
    return read_known(tmp_path_factory.mktemp("store"), read_parameters(PARAMS / "paper.yaml").machine)


@pytest.fixture(scope="module")
def found(known: Known) -> Ladder:
    return ladder(PARAMS / "paper.yaml", known)


def test_each_step_costs_more(found: Ladder) -> None:
    hours = [one.hours for one in found.steps]
    assert hours == sorted(hours)
    assert hours[0] == 24 * 12  # retrainings of a day each
    assert found.unit.startswith("V100-hours at the authors' speed")


def test_looks_cost_between_the_first_look_and_eight_seeds(found: Ladder) -> None:
    assert found.sequential
    cost = looks_cost(found.sequential.plan, found.sequential.prices)
    for name in (TRUE, NONE):
        one = cost.expected[name]
        assert cost.least < one.hours < cost.most
        assert list(one.after) == sorted(one.after)
        assert all(after <= until + 1e-6 for after, until in zip(one.after, cost.until, strict=True))
        assert list(one.open) == sorted(one.open, reverse=True)
    each = 184 / 8 * 1.6 + 136 / 8 * 1.7  # V100-days of a seed of each experiment
    assert cost.until[0] == pytest.approx(24 * 3 * each)
    assert cost.most == pytest.approx(24 * (8 * each + 2 * 2 + 14))  # augmented trainings count twice; 14 of Figure 5


@pytest.mark.parametrize(
    ("budget", "step", "looks"),
    [
        (50, "No step fits 50 hours", "Not even the first look"),
        (300, "Step that fits 300 hours: headline", "Not even the first look"),
        (6_000, "Step that fits 6000 hours: core", "that fit: 3, 4 seeds"),
        (20_000, "Step that fits 20000 hours: paper", "All of sequential fits"),
    ],
)
def test_what_fits_a_budget(known: Known, budget: float, step: str, looks: str) -> None:
    text = "\n".join(fitting_lines(PARAMS / "paper.yaml", known, budget))
    assert step in text
    assert looks in text


def test_the_ladder_in_words(known: Known) -> None:
    text = "\n".join(ladder_lines(PARAMS / "sequential.yaml", known))
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


def test_the_steps_answer_a_budget_where_the_hours_of_the_file_itself_are_unknown(tmp_path: Path) -> None:
    lines: list[str] = []
    asked = Question(PARAMS / "paper.yaml", tmp_path, budget=1000.0)
    answer(asked, lines.append)
    assert "headline" in lines[0] and "runs are unknown" in lines[-1]
    with pytest.raises(DropnasError, match="runs are unknown"):  # what is to be written cannot be
        answer(replace(asked, out=tmp_path / "reduced.yaml"), lines.append)
