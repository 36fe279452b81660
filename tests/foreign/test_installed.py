"""Installed package: the package in a separate folder, without its checkout."""

import shutil
import sys

import pytest

from tests.foreign.conftest import PROJECT, Foreign, machine_in

PARTS = ("dropnas", "workflow", "profiles", "params", "Snakefile", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    """A machine that has the project only as installed by `pip install --target`."""
    machine = machine_in(tmp_path_factory.mktemp("installed"))
    source = machine.folder / "downloaded source"
    source.mkdir()
    for name in PARTS:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(PROJECT / name, source / name)
    folder = machine.folder / "site packages"
    how = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(folder))
    done = machine.run(sys.executable, "-m", "pip", "install", *how, str(source))
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    machine.environment["PYTHONPATH"] = str(folder)
    return machine


def test_a_start_is_the_same_as_from_the_checkout(installed: Foreign) -> None:
    """The plan's name is a checksum of plan, parameters, package and workflow, so equal names mean equal starts."""
    here = installed.dropnas("freeze", str(PROJECT / "params" / "smoke.yaml"), PYTHONPATH=str(PROJECT))
    there = installed.dropnas("freeze", "params/smoke.yaml")
    assert there.returncode == 0, there.stderr
    assert here.stdout == there.stdout
    assert (installed.folder / there.stdout.strip() / "source" / "Snakefile").is_file()


def test_its_own_parameter_files_are_known_by_name(installed: Foreign) -> None:
    assert installed.dropnas("plan", "params/smoke.yaml").returncode == 0
    absent = installed.dropnas("plan", "params/nowhere.yaml")
    assert absent.returncode == 1 and absent.stderr.startswith("error: params/nowhere.yaml: cannot be read")
