"""Triton's requirements are checked before the first step; a missing one is reported in one line."""

import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from dropnas.errors import DropnasError
from dropnas.search.triton.backend import check_kernels


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with Triton, a C compiler on its PATH and Python's header."""
    (tmp_path / "Python.h").touch()
    for name in ("gcc", "other"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme: str(tmp_path))
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    return tmp_path


def refusal() -> str:
    with pytest.raises(DropnasError) as caught:
        check_kernels()
    assert str(caught.value).endswith("set search.kernels: torch") and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compiler", [None, "other"])
def test_nothing_is_missing(machine: Path, monkeypatch: pytest.MonkeyPatch, compiler: str | None) -> None:
    if compiler is not None:
        (machine / "gcc").unlink()
        monkeypatch.setenv("CC", compiler)
    check_kernels()


def test_triton(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    assert "Triton is not installed" in refusal()


@pytest.mark.parametrize("compiler", [None, "cc-that-is-not-there", ""])
def test_a_compiler(machine: Path, monkeypatch: pytest.MonkeyPatch, compiler: str | None) -> None:
    """Triton then uses the compiler in CC and looks for no other one."""
    if compiler is None:
        (machine / "gcc").unlink()
    else:
        monkeypatch.setenv("CC", compiler)
    assert "no C compiler" in refusal()


def test_the_header(machine: Path) -> None:
    (machine / "Python.h").unlink()
    assert str(machine / "Python.h") in refusal()
