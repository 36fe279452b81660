"""`make sif` with stubs for the programs that build: its exit status and remaining files."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.foreign.conftest import PROJECT, WAIT, Foreign

SAVES = 'case $1 in save) echo image >"$3" ;; esac'  # docker
# apptainer; the image is its second last argument
BUILDS = 'case "$*" in *--help*) echo "$HELP" ;; *) echo "$@" >"$ARGUMENTS"; echo sif >"${@: -2:1}" ;; esac'
FAILS = 'case "$*" in *--help*) ;; *) echo half >"${@: -2:1}"; %s ;; esac'


@pytest.fixture
def checkout(machine: Foreign) -> Path:
    """The part of a checkout that the build reads."""
    folder = machine.folder / "check out"
    shutil.copytree(PROJECT / "containers", folder / "containers", ignore=shutil.ignore_patterns("*.sif*"))
    shutil.copyfile(PROJECT / "Makefile", folder / "Makefile")
    machine.stub("docker", SAVES)
    machine.environment["ARGUMENTS"] = str(machine.folder / "arguments")
    return folder


def left(machine: Foreign, checkout: Path) -> list[str]:
    """The content of the temporary folder, and incomplete images."""
    return [path.name for path in (*(machine.folder / "tmp").iterdir(), *checkout.glob("containers/*.new"))]


@pytest.mark.parametrize("program", ["apptainer", "singularity"])
def test_make_sif_ends_well_and_cleans_up(machine: Foreign, checkout: Path, program: str) -> None:
    machine.bare().stub(program, BUILDS)
    done = machine.run("make", "sif", folder=checkout, HELP="--mksquashfs-args string")
    assert done.returncode == 0, done.stderr
    assert (checkout / "containers/dropnas.sif").read_text() == "sif\n"
    assert "-comp zstd" in (machine.folder / "arguments").read_text()
    assert left(machine, checkout) == []


def test_an_option_that_a_builder_lacks_is_not_passed(machine: Foreign, checkout: Path) -> None:
    machine.bare().stub("singularity", BUILDS)
    assert machine.run("make", "sif", folder=checkout, HELP="").returncode == 0
    assert "mksquashfs" not in (machine.folder / "arguments").read_text()


def test_a_failed_build_is_an_error_and_leaves_nothing(machine: Foreign, checkout: Path) -> None:
    machine.bare().stub("apptainer", FAILS % "exit 3")
    done = machine.run("make", "sif", folder=checkout)
    assert done.returncode != 0 and "unbound" not in done.stderr
    assert left(machine, checkout) == [] and not (checkout / "containers/dropnas.sif").exists()


def test_an_interrupted_build_leaves_nothing(machine: Foreign, checkout: Path) -> None:
    machine.bare().stub("apptainer", FAILS % "kill -INT $PPID; sleep 0.1")
    process = subprocess.Popen(
        ["containers/build.sh", "sif"],
        cwd=checkout,
        env=machine.environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    assert process.wait(WAIT) not in (0, -signal.SIGINT)
    assert left(machine, checkout) == [] and not (checkout / "containers/dropnas.sif").exists()


def test_neither_runtime_is_one_line(machine: Foreign, checkout: Path) -> None:
    done = machine.bare().run("containers/build.sh", "sif", folder=checkout)
    assert (done.returncode, done.stderr) == (1, "no apptainer or singularity found; install one of them\n")


def test_an_image_is_built_where_only_macos_programs_are(machine: Foreign, checkout: Path) -> None:
    shutil.copyfile(PROJECT / "requirements.lock", checkout / "requirements.lock")
    machine.bare().stub("docker", '[ "$1" = info ] || printf "%s\\n" "$@"')
    (machine.programs / "sha256sum").unlink()
    machine.stub("shasum", f'[ "$1 $2" = "-a 256" ] && {shutil.which("sha256sum")} "$3"')
    done = machine.run("containers/build.sh", "image", folder=checkout)
    digest = subprocess.check_output(["sha256sum", PROJECT / "requirements.lock"], text=True)[:12]
    assert done.returncode == 0 and f"LOCK={digest}" in done.stdout.splitlines(), done.stderr
