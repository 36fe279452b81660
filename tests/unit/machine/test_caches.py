"""In the image, each user has separate caches; Apptainer binds the host's /tmp, which all users of a node share."""

import os
import tempfile
from pathlib import Path

import pytest

from dropnas.errors import DropnasError
from dropnas.machine import caches

DOCKERFILE = Path(__file__).parents[3] / "containers" / "Dockerfile"


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """In the image, with a temporary folder that several users share."""
    environment = {name: value for name, value in os.environ.items() if name not in caches.FOLDERS}
    monkeypatch.setattr(os, "environ", {**environment, "DROPNAS_IMAGE": "dropnas:1"})
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return monkeypatch


def test_caches_are_in_a_folder_of_this_user(image: pytest.MonkeyPatch, tmp_path: Path) -> None:
    caches.use_own()
    own = tmp_path / f"dropnas-caches-{os.getuid()}"
    assert own.stat().st_mode & 0o777 == 0o700
    assert os.environ["TRITON_CACHE_DIR"] == str(own / "triton")
    assert all(Path(os.environ[name]).is_relative_to(own) for name in caches.FOLDERS)
    caches.use_own()  # the next job of this user finds it


def test_another_user_of_the_node_has_another_folder(image: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"dropnas-caches-{os.getuid()}").mkdir(mode=0o700)
    made: list[Path] = []
    image.setattr(Path, "mkdir", lambda path, **_: made.append(path))
    image.setattr(Path, "lstat", lambda path: os.stat_result((0o40700, 0, 0, 1, 41235, 0, 0, 0, 0, 0)))
    image.setattr(os, "getuid", lambda: 41235)
    caches.use_own()
    assert made == [tmp_path / "dropnas-caches-41235"]
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "dropnas-caches-41235" / "triton")


def test_a_folder_of_somebody_else_is_refused(image: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / f"dropnas-caches-{os.getuid()}"
    other = os.stat_result((0o40777, 0, 0, 1, os.getuid() + 1, 0, 0, 0, 0, 0))
    own.mkdir()
    image.setattr(Path, "lstat", lambda path: other)
    with pytest.raises(DropnasError, match="another user") as error:
        caches.use_own()
    assert error.value.where == str(own) and "TRITON_CACHE_DIR" not in os.environ


def test_a_link_of_that_name_is_refused(image: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"dropnas-caches-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(DropnasError, match="another user"):
        caches.use_own()


def test_variables_that_are_already_set_do_not_change(image: pytest.MonkeyPatch) -> None:
    os.environ["TRITON_CACHE_DIR"] = "/lasting"
    caches.use_own()
    assert os.environ["TRITON_CACHE_DIR"] == "/lasting" and os.environ["MPLCONFIGDIR"] != "/lasting"


def test_outside_of_the_image_libraries_choose_themselves(image: pytest.MonkeyPatch, tmp_path: Path) -> None:
    del os.environ["DROPNAS_IMAGE"]
    caches.use_own()
    assert not set(caches.FOLDERS) & set(os.environ) and not list(tmp_path.iterdir())


def test_the_image_itself_names_no_cache() -> None:
    assert not [name for name in caches.FOLDERS if f"{name}=" in DOCKERFILE.read_text()]
