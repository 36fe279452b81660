"""Other programs: a `dot` that exists but does not work, and Python on another system than Linux."""

from pathlib import Path

import pytest

from dropnas.runs import environment
from tests.foreign.conftest import Foreign


def test_cells_are_drawn_with_a_broken_dot(machine: Foreign) -> None:
    """An earlier version laid out figures with `dot`; the present one must not use it."""
    machine.bare().stub("dot", 'echo "There is no layout engine support" >&2; exit 1')
    done = machine.dropnas("draw", "dropnas_c10", "--out", "cells.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert "skip" in (machine.folder / "cells.svg").read_text()


@pytest.mark.parametrize("processor", ["arm", ""])
def test_the_environment_is_recorded_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, processor: str) -> None:
    """As on macOS, after the work of a run."""

    def absent(path: Path, *_: object, **__: object) -> str:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(environment.platform, "processor", lambda: processor)
    monkeypatch.setattr(environment.platform, "machine", lambda: "arm64")
    assert environment.environment("cpu", 1)["device"] == (processor or "arm64")


def test_a_processor_without_a_name_has_that_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on ARM, where /proc/cpuinfo has no `model name`."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert environment.device_name("cpu")


def test_memory_is_in_bytes_also_where_the_system_counts_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    here = environment.peak_memory("cpu")["host"]
    monkeypatch.setattr(environment.sys, "platform", "darwin")
    assert environment.peak_memory("cpu")["host"] < here / 500


def test_a_repository_around_the_project_is_not_its_own(machine: Foreign) -> None:
    """For example, if the package was installed below another repository."""
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    assert machine.run("git", "init", "-q").returncode == 0
    assert machine.run("git", *author, "commit", "-q", "--allow-empty", "-m", "x").returncode == 0
    assert len(environment.git_state(machine.folder)["commit"]) == 40
    below = machine.folder / "lib"
    below.mkdir()
    assert environment.git_state(below) == {"commit": "", "dirty": True}
