"""A remote that cannot be used ends push and pull with one line and status 1, never with "0 runs"."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from dropnas.errors import DropnasError
from dropnas.sharing.pull import pull
from dropnas.sharing.push import push
from tests.in_process import verb
from tests.unit.sharing.conftest import Site, set_remote

VERBS = {"push": push, "pull": pull}


@pytest.fixture(params=VERBS)
def error(request: pytest.FixtureRequest, here: Site) -> Any:
    """The one-line error of a verb that fails."""

    def call() -> str:
        with pytest.raises(DropnasError) as caught:
            VERBS[request.param](here.root, None, "", print)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return call


def test_no_remote_is_set(here: Site, error: Any) -> None:
    (here.root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    assert "no DVC remote is set" in error()


def test_no_remote_of_that_name(here: Site, error: Any) -> None:
    (here.root / ".dvc" / "config").write_text("[core]\n    remote = other\n    no_scm = true\n")
    assert "remote 'other' doesn't exist" in error()


def test_a_configuration_that_cannot_be_read(here: Site, error: Any) -> None:
    (here.root / ".dvc" / "config").write_text("[core\n")
    assert "Invalid line" in error()


def test_no_repository(here: Site, error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(here.root / ".dvc")
    monkeypatch.chdir(tmp_path)
    assert "is not in a DVC repository" in error()


@pytest.mark.parametrize("url", ["gopher://host/path", "gopher://"])
def test_an_unknown_scheme(here: Site, error: Any, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    set_remote(here, url)
    assert "gopher://" in error()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/path", "https://no-such-host.invalid/path"])
def test_a_kind_without_folders(here: Site, error: Any, url: str) -> None:
    set_remote(here, url)
    assert "this kind of remote has no folders" in error()


@pytest.mark.parametrize(("kind", "remedy"), [("ssh", "'dropnas[ssh]'"), ("s3", "'dropnas[s3]'"), ("gs", "dvc-gs")])
def test_a_plugin_that_is_not_installed(
    here: Site, error: Any, kind: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"dvc_{kind}", None)
    set_remote(here, f"{kind}://host/path")
    assert error().endswith(f"pip install {remedy}")


def test_a_file_in_place_of_the_folder(here: Site, error: Any, remote: Path) -> None:
    remote.write_text("a file")
    assert str(remote) in error()


def test_a_folder_that_is_missing_with_the_one_above_it(here: Site, error: Any, tmp_path: Path) -> None:
    """For example, a disk that is not mounted: no folder is created instead."""
    set_remote(here, tmp_path / "mount" / "remote")
    assert str(tmp_path / "mount" / "remote") in error()
    assert not (tmp_path / "mount").exists()


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_runs_is_no_success_for_a_pull(there: Site, remote: Path, make: bool) -> None:
    if make:
        remote.mkdir()
    done = verb("pull", root=there.root)
    assert done.status == 1 and done.out == ""
    assert done.err == f"error: {remote}: the remote has no runs; check its URL, or push runs to it\n"
    assert remote.exists() == make


def test_a_store_without_runs_is_no_success_for_a_push(there: Site, remote: Path) -> None:
    with pytest.raises(DropnasError, match="there is no finished run here"):
        push(there.root, None, "", print)
    assert not remote.exists()
