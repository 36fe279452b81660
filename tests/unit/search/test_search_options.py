"""Strategies by name: presets and their options, and those of a user's own package."""

from pathlib import Path

import pytest
import torch

from dropnas.errors import DropnasError
from dropnas.search.config import PRESETS, DropoutOptions, Scalar, SearchConfig
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.search.strategy import make_strategy
from dropnas.space.spaces import ORIGINAL

USER_CODE = """
from dropnas.search.strategies.grouped_dropout import GroupedDropout

class Rising(GroupedDropout):
    '''The drop probability grows over the search.'''

    def __init__(self, config, space, *, start: float = 0.0, **options):
        super().__init__(config, space, **options)
        self.start = start

    def drop_probabilities(self, epoch):
        return super().drop_probabilities(epoch) * max(self.start, epoch / self.config.epochs)

class Strict:
    def __init__(self, config, space, *, temperature: float):
        self.temperature = temperature

NUMBER = 3
"""


@pytest.fixture
def user_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_search.py").write_text(USER_CODE)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_are_their_options(name: str) -> None:
    strategy = make_strategy(SearchConfig(strategy=name), ORIGINAL)
    assert isinstance(strategy, GroupedDropout) and strategy.options == PRESETS[name]


def test_options_change_a_preset() -> None:
    config = SearchConfig(strategy="no-alpha-adjust", options={"dropped": "frozen", "rate_parameterised": 0})
    expected = DropoutOptions(alpha_adjust="off", dropped="frozen", rate_parameterised=0)
    strategy = make_strategy(config, ORIGINAL)
    assert isinstance(strategy, GroupedDropout) and strategy.options == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_paramterised": 0.1}, "did you mean 'rate_parameterised'"),
        ({"masks": "per_cell"}, "takes one of shared, per-cell, not 'per_cell'"),
        ({"rate_parameterised": 1.0}, "a number at least 0 and below 1"),
        ({"rate_parameterised": -0.1}, "a number at least 0 and below 1"),
        ({"rate_parameterised": True}, "a number at least 0 and below 1"),
        ({"rate_parameterised": "high"}, "a number at least 0 and below 1"),
        ({"decay": 1}, "takes one of released, l2"),
    ],
)
def test_wrong_options_are_named_in_one_line(options: dict[str, Scalar], message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(SearchConfig(options=options), ORIGINAL)
    assert "\n" not in str(raised.value)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(DropnasError, match="unknown strategy 'dropnass'"):
        make_strategy(SearchConfig(strategy="dropnass"), ORIGINAL)


@pytest.mark.usefixtures("user_package")
def test_a_users_strategy_overrides_one_method() -> None:
    options: dict[str, Scalar] = {"start": 0.5, "dropped": "frozen"}
    config = SearchConfig(strategy="users_search:Rising", epochs=4, options=options)
    strategy = make_strategy(config, ORIGINAL)
    assert isinstance(strategy, GroupedDropout) and strategy.options.dropped == "frozen"
    halved = strategy.drop_probabilities(epoch=1)
    assert torch.allclose(halved, torch.full((8,), 3e-5**0.25 / 2, dtype=torch.float64))


@pytest.mark.usefixtures("user_package")
@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("Rising", {"begin": 0.5}, "unknown option 'begin'"),
        ("Strict", {"temprature": 0.5}, "temprature"),
        ("Strict", {}, "temperature"),
        ("Strict", {"temperature": 1.0}, "makes a Strict; derive it from dropnas.search.strategy.Strategy"),
        ("NUMBER", {}, "not a strategy"),
        ("ABSENT", {}, "has no 'ABSENT'"),
    ],
)
def test_what_is_wrong_with_a_users_strategy_is_reported_in_one_line(
    strategy: str, options: dict[str, Scalar], message: str
) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(SearchConfig(strategy=f"users_search:{strategy}", options=options), ORIGINAL)
    assert "\n" not in str(raised.value)
