"""Mistakes in a user's strategy: each is one line that names the strategy and the hook."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dropnas import extension
from dropnas.errors import DropnasError
from dropnas.search import stage
from dropnas.search.strategies.grouped_dropout import GroupedDropout
from dropnas.training.optimisers import SGD
from tests.unit.search.groups import TINY, group_of, images_of, train

RETURNS: list[tuple[str, Any, str]] = [
    (
        "architecture",
        {"betas": torch.zeros(2, 14)},
        r"architecture returns no alphas; 'alphas' \(2, 14, 4\) are",
    ),
    ("architecture", {"alphas": torch.zeros(14, 4)}, r"architecture returns alphas \(14, 4\); .* by kinds of cells"),
    ("architecture", torch.zeros(2, 14, 4), "architecture returns Tensor; dict is needed"),
    ("memory", [torch.zeros(1)], "memory returns list; dict is needed"),
    ("memory", {"mean": 0.5}, "memory returns float as 'mean'; tensors by their names are needed"),
    (
        "optimisers",
        SGD([torch.zeros(2, 3)], 0.1),
        r"optimisers returns \(SGD\); two of dropnas.training",
    ),
    ("optimisers", (None, None), r"optimisers returns \(NoneType, NoneType\); two of"),
    ("make_supernet", None, "make_supernet returns NoneType; Supernet is needed"),
    ("make_engine", "fast", "make_engine returns str; Engine is needed"),
    ("learning_rate", "0.1", "learning_rate returns str; Real is needed"),
    ("learning_rate", True, "learning_rate returns bool; Real is needed"),
    ("variant", 1, "variant returns int; str is needed"),
]


class Mistaken(GroupedDropout):
    """A strategy in which one hook returns another value."""

    hook, answer = "", None

    def __getattribute__(self, name: str) -> Any:
        kind: Any = object.__getattribute__(self, "__class__")
        return (lambda *_: kind.answer) if name == kind.hook else object.__getattribute__(self, name)


@pytest.mark.parametrize(("hook", "answer", "line"), RETURNS)
def test_a_wrong_return_is_named(hook: str, answer: Any, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mistaken, "hook", hook)
    monkeypatch.setattr(Mistaken, "answer", answer)
    with pytest.raises(DropnasError, match=rf"^{re.escape(__name__)}:Mistaken: {line}"):
        train(group_of(replace(TINY, strategy=f"{__name__}:Mistaken")), last=1)


def test_a_whole_number_is_a_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mistaken, "hook", "learning_rate")
    monkeypatch.setattr(Mistaken, "answer", 1)
    group = group_of(replace(TINY, strategy=f"{__name__}:Mistaken"))
    train(group, last=1)
    assert group.state.weight_optimiser.learning_rate == 1.0


def test_a_genotype_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Mistaken, "hook", "derive")
    monkeypatch.setattr(Mistaken, "answer", "darts_v2")
    group = group_of(replace(TINY, strategy=f"{__name__}:Mistaken"), seeds=[3])
    train(group, last=2)
    with pytest.raises(DropnasError, match=r"Mistaken: derive returns str; Genotype is needed$"):
        stage.write(tmp_path, group.runs[0], [{"train_loss": 1.0, "train_accuracy": 50.0}], group)


def test_triton_is_refused_without_a_gpu() -> None:
    with pytest.raises(DropnasError, match=r"^cpu: kernels 'triton' need a GPU; set search.kernels: torch$"):
        stage.new_group([replace(TINY, kernels="triton", space="1-skip")], images_of(7), "cpu")


USERS = """
from dropnas.search.strategies.grouped_dropout import GroupedDropout


class Wrong(GroupedDropout):
    def learning_rate(self, phase, epoch):
        return helper(epoch)


def helper(epoch):
    return 1 / epoch
"""


def test_what_raises_in_a_users_package_is_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "_packages", set())  # without this one
    (tmp_path / "wrong_method.py").write_text(USERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    group = group_of(replace(TINY, strategy="wrong_method:Wrong"))
    with pytest.raises(ZeroDivisionError) as caught:
        group.start_epoch(0)
    file = tmp_path / "wrong_method.py"
    assert extension.blamed(caught.value) == f"wrong_method:Wrong.learning_rate at {file}, line {USERS.count(chr(10))}"
    del sys.modules["wrong_method"]


def test_a_mistake_of_this_package_is_not_blamed_on_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "_packages", set())
    with pytest.raises(IndexError) as caught:
        group_of(replace(TINY)).start_epoch(99)
    assert extension.blamed(caught.value) == ""


def test_a_module_that_is_no_python_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unfinished.py").write_text("class Method(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DropnasError, match=r"^unfinished:Method: cannot import 'unfinished' \(.*, line 1\)"):
        extension.load("unfinished:Method")
