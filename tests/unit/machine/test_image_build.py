"""The arguments that `make lock` and `make image` pass to uv and to the builder, which are stubs; nothing is built."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
INDEX = "https://packages.example/cu126"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that a build reads, in a separate folder; the builder prints its arguments."""
    for name in ("containers/Dockerfile", "containers/build.sh", "Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    (tmp_path / "containers/build.sh").chmod(0o755)
    (tmp_path / "requirements-cu126.lock").write_text("torch==2.14.1+cu126\n")
    (tmp_path / "bin").mkdir()
    for name in ("docker", "uv"):
        stub = tmp_path / "bin" / name
        stub.write_text('#!/bin/sh\n[ "$1" = info ] || printf "%s\\n" "$@"\n')
        stub.chmod(0o755)
    return tmp_path


def make(checkout: Path, *arguments: str) -> list[str]:
    """The arguments of the stub, one per line."""
    done = subprocess.run(
        ["make", "--silent", *arguments, "READY="],
        cwd=checkout,
        env={"PATH": f"{checkout}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines() if done.returncode == 0 else [done.stderr.splitlines()[0]]


def test_the_image_has_the_usual_lock_unless_another_is_named(checkout: Path) -> None:
    given = make(checkout, "image")
    digest = sha256((checkout / "requirements.lock").read_bytes()).hexdigest()[:12]
    assert {"LOCK_FILE=requirements.lock", f"LOCK={digest}"} <= set(given)
    assert not [argument for argument in given if argument.startswith("TORCH_INDEX")]


def test_the_image_takes_torch_for_another_cuda(checkout: Path) -> None:
    given = make(checkout, "image", "LOCK_FILE=requirements-cu126.lock", f"TORCH_INDEX={INDEX}")
    digest = sha256(b"torch==2.14.1+cu126\n").hexdigest()[:12]
    assert {"LOCK_FILE=requirements-cu126.lock", f"LOCK={digest}", f"TORCH_INDEX={INDEX}"} <= set(given)


def test_a_lock_that_is_missing_is_one_line(checkout: Path) -> None:
    assert make(checkout, "image", "LOCK_FILE=other.lock") == [
        "other.lock is not here; make lock LOCK_FILE=other.lock writes it"
    ]


def test_a_lock_for_another_cuda_begins_as_the_usual_one(checkout: Path) -> None:
    usual = make(checkout, "lock")
    other = make(checkout, "lock", "LOCK_FILE=requirements-cu118.lock", f"TORCH_INDEX={INDEX}")
    assert usual[-1] == "requirements.lock" and "--index" not in usual
    assert other[-1] == "requirements-cu118.lock" and other[other.index("--index") + 1] == INDEX
    # if all indexes were equal, uv would take a newer torch for another CUDA from elsewhere
    assert not [argument for argument in other if "unsafe" in argument]
    assert (checkout / other[-1]).read_bytes() == (checkout / "requirements.lock").read_bytes()


def test_the_dockerfile_uses_what_it_is_given() -> None:
    stage = (REPOSITORY / "containers/Dockerfile").read_text().partition("AS dependencies")[2].partition("FROM")[0]
    assert "ARG LOCK_FILE=requirements.lock\n" in stage and "COPY ${LOCK_FILE} /requirements.lock\n" in stage
    assert "ARG TORCH_INDEX=\n" in stage and '${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"}' in stage


def test_no_build_file_names_a_package_index() -> None:
    for name in ("containers/Dockerfile", "containers/build.sh", "Makefile", "requirements.lock"):
        lines = (REPOSITORY / name).read_text().splitlines()
        assert not [line for line in lines if "://" in line and "index" in line.lower()], name
