"""The settings of a method's searches: from the method, from the file, or from its authors."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import freeze
from dropnas.pipeline.plan import make_plan
from dropnas.runs.fingerprint import refresh
from dropnas.search.config import SearchConfig
from dropnas.search.methods import METHODS, authors_settings

FILE: dict[str, Any] = {
    "profile": "tiny",
    "description": "Settings of methods.",
    "datasets": {"cifar10": {"name": "digits", "source": "bundled"}},
    "seeds": 1,
    "tables": ["baselines"],
    "baselines": ["darts-plus", "asap"],
}


def searches(tmp_path: Path, **changes: Any) -> dict[str, SearchConfig]:
    """The configurations of a file's searches, by strategy; for users' methods, by label."""
    return {config.strategy: config for config in configs(tmp_path, **changes)}


def configs(tmp_path: Path, **changes: Any) -> list[SearchConfig]:
    file = tmp_path / "parameters.yaml"
    file.write_text(yaml.safe_dump({**FILE, **changes}))
    return [run.config for run in make_plan(read_parameters(file)).runs.values() if run.stage == "search"]


def test_settings_that_the_file_does_not_set_are_the_authors(tmp_path: Path) -> None:
    found = searches(tmp_path)
    assert found["dropnas"] == SearchConfig()
    for name in FILE["baselines"]:
        assert {key: getattr(found[name], key) for key in authors_settings(name)} == authors_settings(name)


def test_the_file_sets_options_of_all_methods_and_a_method_its_own(tmp_path: Path) -> None:
    mine = {"label": "Mine", "strategy": "darts-plus", "search": {"cells": 5}, "options": {"patience": 3}}
    found = configs(tmp_path, search={"cells": 3, "epochs": 2}, methods=[mine])
    assert {(one.cells, one.epochs) for one in found if one.options != {"patience": 3}} == {(3, 2)}
    (own,) = [one for one in found if one.options == {"patience": 3}]
    assert (own.cells, own.epochs, own.batch_size) == (5, 2, authors_settings("darts-plus")["batch_size"])


def test_an_option_at_its_default_is_left_out(tmp_path: Path) -> None:
    same = {"label": "Mine", "strategy": "darts-plus", "options": {"patience": 10}}
    assert [one.strategy for one in configs(tmp_path, methods=[same])].count("darts-plus") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patiance": 3}, "did you mean 'patience'"), ({"patience": 0}, "patience"), ({"patience": "long"}, "patience")],
)
def test_a_wrong_option_is_one_line_before_anything_runs(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        configs(tmp_path, methods=[{"label": "Mine", "strategy": "darts-plus", "options": options}])
    assert "\n" not in str(raised.value)


def test_settings_that_a_method_cannot_have_are_found_at_the_start(tmp_path: Path) -> None:
    """ASAP prunes only after its temperature has fallen for some epochs."""
    file = tmp_path / "parameters.yaml"
    slow = {"label": "Mine", "strategy": "asap", "options": {"schedule": "absolute"}, "search": {"epochs": 2}}
    file.write_text(yaml.safe_dump({**FILE, "methods": [slow]}))
    with pytest.raises(DropnasError, match="the temperature never falls"):
        freeze(file, tmp_path)
    assert not (tmp_path / "plans").exists()


@pytest.mark.parametrize("name", METHODS)
def test_authors_settings_are_settings_of_a_search(name: str) -> None:
    assert set(authors_settings(name)) <= set(vars(SearchConfig())) - {"space", "strategy", "options", "seed"}


USERS = """
from dropnas.search.strategy import Strategy
from dropnas.search.strategies.two_level import TwoLevel


class Stepless(Strategy):
    pass


class Selecting(TwoLevel):
    def closing_steps(self, run):
        return 3


class WithoutHeldOut(TwoLevel):
    weight_share = 1.0


class Endless(TwoLevel):
    phases = ()
"""
BETAS = {"edge_normalisation": False}


@pytest.mark.parametrize(
    ("strategy", "changes", "message"),
    [
        ("p-darts", {"options": BETAS}, "strategy 'p-darts': unknown option 'edge_normalisation'"),
        ("p-darts", {"options": {"dropped_1": 6}}, "0 of the 8 operations of space 'original' are left in phase 3"),
        ("p-darts", {"options": {"dropped_1": 9}}, "are left in phase 3"),
        ("p-darts", {"options": {"skip_limit": 9}}, "'skip_limit' takes a whole number at least 0 and at most 8"),
        ("pc-darts", {"search": {"channels": 6}}, "one in 4 of 6 channels is no whole number"),
        ("darts-plus", {"options": {"criterion": "ranking", "cell": "before"}}, "needs criterion: skip-connects"),
        ("snas", {"options": {"temperature_min": 2.0}}, "'temperature_min' is above 'temperature'"),
        ("proxylessnas", {"options": {"held_out": 0}}, "'held_out' takes a number above 0 and below 1"),
        ("proxylessnas", {"options": {"held_out": 0.001}}, "weight_share 0.999 of 100 images holds out 0"),
        ("proxylessnas", {"options": {"warm_up": 0.99}, "search": {"epochs": 4}}, "leave none of 4 epochs"),
        ("asap", {"options": {"schedule": "absolute"}, "search": {"epochs": 2}}, "the temperature never falls"),
        ("xnas", {"options": {"bound": 0}}, "'bound' takes a number above 0"),
        ("stacnas", {"options": {"score": "beta"}}, "'score' takes one of alpha, probability"),
        ("gdas", {"options": {"edges": "all"}}, "'edges' takes one of pairs, predecessors"),
        ("random-weight-sharing", {"options": {"finalists": 2000}}, "2000 finalists of 1000 architectures"),
        ("darts-first-order", {"options": {"order": 2}}, "unknown option 'order'"),
        ("users_methods:Stepless", {}, "has no method 'step'"),
        ("users_methods:Selecting", {}, "has 'closing_steps' but no method 'close'"),
        ("users_methods:WithoutHeldOut", {}, "needs held-out images, but weight_share is 1"),
        ("users_methods:Endless", {}, "phases is (); return a sequence of at least one Phase"),
        ("users_methods:Missing", {}, "defines no 'Missing'"),
        ("users_methods:Selecting", {"options": {"pace": 3}}, "cannot be made with options ['pace']"),
    ],
)
def test_what_contradicts_a_method_is_one_line_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "users_methods.py").write_text(USERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("users_methods", None)
    refresh()
    data = {"cifar10": {"name": "digits", "source": "bundled", "train_images": 100}}
    mine = {"label": "Mine", "strategy": strategy, **changes}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**FILE, "datasets": data, "methods": [mine]}))
    with pytest.raises(DropnasError) as raised:
        freeze(tmp_path / "own.yaml", tmp_path)
    assert message in str(raised.value) and "\n" not in str(raised.value)
    assert not (tmp_path / "plans").exists()
