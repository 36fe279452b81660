"""Other users and their surroundings: a uid without a name, a read-only home folder, output that is not UTF-8."""

import sys
from pathlib import Path

import pytest

from tests.foreign.conftest import PROJECT, Foreign, possible

MICRO = PROJECT / "tests" / "workflow" / "micro.yaml"


def start(machine: Foreign, *options: str, parameters: Path = MICRO, **environment: str) -> str:
    """Start the workflow in the folder of its parameter file; return its output."""
    done = machine.dropnas("run", str(parameters), "--cores", "1", *options, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_user_without_a_name_runs_the_workflow(nobody: Foreign) -> None:
    assert nobody.run("sh", "-c", "id -u; whoami").stdout == "12345\n"  # whoami finds none
    assert "Traceback" not in start(nobody, "architectures")
    assert list(nobody.folder.glob("runs/architectures/*/manifest.json"))


def test_a_home_in_which_no_file_can_be_written(machine: Foreign) -> None:
    assert "Traceback" not in start(machine, "--dry-run", HOME="/proc/x")


def test_a_home_that_is_read_only(machine: Foreign) -> None:
    """The file system is mounted read-only, because root may write to any folder, whatever its mode."""
    possible("unshare", "--mount", "true")
    home = machine.folder / "home"
    mount = f'mount --bind {home} {home} && mount -o remount,bind,ro {home} && exec "$@"'
    machine.before = ("unshare", "--mount", "sh", "-c", mount, "sh")
    assert "Traceback" not in start(machine, "--dry-run")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["ascii", "C"],
)
def test_output_with_characters_that_the_encoding_lacks(machine: Foreign, environment: dict[str, str]) -> None:
    folder = machine.folder / "Zürich µ"
    folder.mkdir()
    parameters = folder / "µ.yaml"
    text = MICRO.read_text(encoding="utf-8").replace("The smallest chain", "Die kleinste Kette, µ")
    parameters.write_text(text, encoding="utf-8")
    machine.folder = folder
    assert "Traceback" not in start(machine, "--dry-run", parameters=parameters, **environment)
    for verb in (("watch", str(parameters), "--once"), ("report", str(parameters))):
        done = machine.dropnas(*verb, **environment)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_no_folder_for_temporary_files_is_one_line(machine: Foreign) -> None:
    """For example, in a container with a read-only root and nothing mounted on /tmp."""
    possible("unshare", "--mount", "true")
    if any(path.is_relative_to(place) for path in (PROJECT, Path(sys.prefix)) for place in ("/tmp", "/var/tmp")):
        pytest.skip("the project itself lies in the folder for temporary files")
    hide = 'cd /proc; for f in /tmp /var/tmp; do mount --bind /proc $f; done; exec "$@"'
    machine.before = ("unshare", "--mount", "sh", "-c", hide, "sh")
    done = machine.dropnas("plan", str(MICRO), HOME="/proc/x", TMPDIR="/proc/x")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no folder for temporary files can be written"), done.stderr
