"""The first commands of a newcomer: another Python, the version, a downloaded ZIP without git."""

import importlib.metadata
import re
import shutil
import subprocess
import sys

import pytest

from tests.foreign.conftest import PROJECT, Foreign


def test_a_python_without_the_dependencies_is_one_line(machine: Foreign) -> None:
    """The system's `python3`, before the environment is activated."""
    done = machine.run(sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r}); "
                       "import runpy; runpy.run_module('dropnas', run_name='__main__')")  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"error: \w+ is not installed for \S+; run make setup and .*\n", done.stderr), done.stderr


def test_an_old_python_is_one_line(machine: Foreign) -> None:
    pretend = "import sys; sys.version_info = (3, 9, 2); import runpy; runpy.run_module('dropnas', run_name='__main__')"
    done = machine.run(sys.executable, "-c", pretend)
    assert done.returncode == 1 and "3.11 is needed; run make setup" in done.stderr and done.stderr.count("\n") == 1


def test_old_pythons_can_read_the_file_that_says_so() -> None:
    """Python 3.6 is the oldest version that is still called `python3` on some clusters."""
    import ast

    for name in ("__main__.py", "__init__.py"):
        ast.parse((PROJECT / "dropnas" / name).read_text(), feature_version=(3, 6))


def test_the_version_is_printed(machine: Foreign) -> None:
    done = machine.dropnas("--version")
    assert done.stdout.startswith(f"dropnas {importlib.metadata.version('dropnas')}") and "Python 3" in done.stdout


def test_pictures_are_written_to_the_results(machine: Foreign) -> None:
    before = set(machine.folder.iterdir())
    assert machine.dropnas("draw", "dropnas_c10").stdout == "results/pictures/dropnas_c10.svg\n"
    assert {path.name for path in set(machine.folder.iterdir()) - before} == {"results"}


SETUP = """
[ "$1" = -c ] && exit 0
[ "$2" = venv ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python
exit 0
"""


@pytest.mark.parametrize("git", [False, True])
def test_dvc_works_in_a_downloaded_zip(machine: Foreign, git: bool) -> None:
    folder = machine.folder / "DropNAS main"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "dvc.yaml", "params", ".dvc", ".dvcignore"):
        source = PROJECT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copyfile(source, folder / name)
    (folder / ".dvc" / "config.local").unlink(missing_ok=True)
    if git:
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    python = machine.stub("pretended-python", SETUP)
    assert machine.run("make", "setup", f"PYTHON={python}", folder=folder).returncode == 0
    assert (folder / ".dvc" / "config.local").exists() != git
    done = machine.run(sys.executable, "-m", "dvc", "repro", "--dry", "prepare@digits", folder=folder)
    assert done.returncode == 0 and "dropnas data digits" in done.stdout, done.stderr


def test_the_metrics_of_dvc_are_few() -> None:
    text = (PROJECT / "dvc.yaml").read_text()
    assert re.findall(r"metrics:\n +- (\S+):", text) == [
        f"results/{name}/errors.json" for name in ("smoke", "mini", "paper")
    ]
