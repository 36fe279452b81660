"""How a run that fails is reported: one line, and a traceback if the program or a user's code has a bug."""

from pathlib import Path

import pytest

from dropnas import extension
from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.pipeline.failures import Failures
from dropnas.pipeline.specs import spec
from dropnas.runs.identity import Run
from dropnas.search.config import SearchConfig

SPEC = spec(Run("search", "digits-seed0", SearchConfig(), (), "code"), "test", Machine())
USERS = "def method(x):\n    return 1 / x\n"


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are themselves a package from which code is loaded."""
    monkeypatch.setattr(extension, "_packages", set())


def reported(raising: object, capsys: pytest.CaptureFixture[str], root: Path) -> list[str]:
    failures = Failures(root)
    with failures.of(SPEC):
        raising()  # type: ignore[operator]
    assert failures.ids == {SPEC.id}
    return capsys.readouterr().err.splitlines()


def test_what_a_user_can_correct_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def raising() -> None:
        raise DropnasError("no such file", where="a", remedy="name another")

    assert reported(raising, capsys, tmp_path) == ["error: search digits-seed0: a: no such file; name another"]


def test_a_mistake_of_the_program_has_a_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = reported(lambda: {}["missing"], capsys, tmp_path)
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: search digits-seed0: a mistake in the program: KeyError: 'missing'"


def test_a_users_mistake_is_named_by_method_and_line_with_the_traceback_above(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_package.py").write_text(USERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    method = extension.load("users_package:method")
    lines = reported(lambda: method(0), capsys, tmp_path)
    place = f"users_package:method at {tmp_path / 'users_package.py'}, line 2"
    assert lines[0].startswith("Traceback") and lines[-2] == "ZeroDivisionError: division by zero"
    assert lines[-1] == f"error: search digits-seed0: {place}: ZeroDivisionError: division by zero"
