"""Every command in the documentation: fast ones are run; for the others, each word must be valid.

No test needs a GPU, a network or a cluster. A command runs in a separate folder with links to the checkout. A command
that trains, waits or sends data is only parsed, by the parser that would read it: ours, Snakemake's, DVC's or make's.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml
from dvc.cli.parser import get_main_parser
from snakemake.cli import get_argument_parser
from typer.testing import CliRunner

from benchmarks import __main__ as benchmarks
from dropnas.cli import app
from dropnas.config import read_parameters
from dropnas.pipeline.plan import make_plan
from tests.unit.docs.commands import REPOSITORY, Command, shown, split

QUICK = ("plan", "inspect", "prune", "schema")  # verbs that are run
DRY = ("python -m dropnas run warm.yaml", "snakemake table4 --configfile params/paper.yaml")  # a dry run of each way
LINKED = (
    *("Snakefile", "Makefile", "workflow", "profiles", "params", "dropnas", "pyproject.toml", "requirements.lock"),
    *("tests/unit", "tests/page", "tests/cluster", "tests/example/warm.yaml"),
    *("tests/example/warm_dropout", "tests/example/halving"),
)
SYSTEM = {"cp", "docker"}  # programs of the system
COMMANDS = shown()
VERBS = typer.main.get_command(app).commands


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with links to the checkout's files, in which a command may write."""
    (tmp_path / "tests/example").mkdir(parents=True)
    for name in LINKED:
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pages_are_read() -> None:
    found = {str(command) for command in COMMANDS}
    assert {"make smoke", "snakemake table4 --configfile params/paper.yaml", "dvc repro smoke"} <= found
    assert "python -m dropnas pull --heavy WHAT" in found and len(found) > 60


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_the_documentation_works(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / command.folder)
    monkeypatch.syspath_prepend(str(folder / command.folder))  # like `python -m`
    check(command.words)
    if str(command) in DRY:
        dry_run(command)


@pytest.mark.parametrize(
    "line",
    [
        "make smok",
        "make lock NOTHING=1",
        "python -m dropnas plann params/paper.yaml",
        "python -m dropnas plan params/none.yaml",
        "python -m dropnas plan params/paper.yaml --runz",
        "python -m dropnas run params/paper.yaml table9",
        "python -m dropnas inspect dropnas_c11",
        "python -m benchmarks search-stepp",
        "python -m benchmarks search-step --deviec cuda",
        "python -m tests.trials.kills --cuont 60",
        "python -m tests.none",
        "python -m pytest tests/none.py",
        "python -m pytest -m quick",
        "snakemake table4 --configfil params/paper.yaml",
        "dvc repro none",
        "dvc ad",
        "tests/cluster/none.sh",
        "unknown",
    ],
)
def test_a_wrong_command_is_found(line: str, folder: Path) -> None:
    ((words, _),) = split(line)
    with pytest.raises((Exception, SystemExit)):
        check(words)


def dry_run(command: Command) -> None:
    words = command.words[1:] if command.words[0] == "python" else ("-m", *command.words)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    called = [sys.executable, *words, "--dry-run"]
    done = subprocess.run(called, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "This was a dry-run" in done.stdout


def check(words: tuple[str, ...]) -> None:
    program, *rest = words
    if program == "docker" and "python" in rest:
        check(tuple(rest[rest.index("python") :]))
    elif program == "python":
        check_python(rest)
    elif program in PROGRAMS:
        PROGRAMS[program](rest)
    else:
        assert program in SYSTEM or Path(program).is_file(), f"no {program}"


def check_make(words: list[str]) -> None:
    """`make -n` runs nothing and fails for an unknown target, but accepts any variable."""
    variables = [word.partition("=")[0] for word in words if "=" in word]
    makefile = Path("Makefile").read_text()
    assert all(f"$({name})" in makefile or f"{name} ?=" in makefile for name in variables)
    subprocess.run(["make", "-n", *words], check=True, capture_output=True)


def check_python(words: list[str]) -> None:
    if not words or words[0] not in ("-m", "-c"):
        return
    if words[0] == "-c":
        compile(words[1], "documentation", "exec")
        return
    module, *rest = words[1:]
    if module in MODULES:
        MODULES[module](rest)
    elif module.startswith("tests.trials."):
        parse(importlib.import_module(module).main, rest)
    else:
        assert importlib.util.find_spec(module), f"no module {module}"


def parse(main: Callable[..., object], words: list[str]) -> None:
    """The options of a program that `typer.run` starts."""
    alone = typer.Typer()
    alone.command()(main)
    typer.main.get_command(alone).make_context("main", words)


def check_verb(words: list[str]) -> None:
    if not words:
        return
    verb, *rest = words
    command = VERBS[verb]
    if not rest and any(parameter.required for parameter in command.params):
        return  # the page only mentions it
    written = {file for option, file in pairwise(rest) if option == "--out"}
    missing = [word for word in rest if word.endswith(".yaml") and word not in written and not Path(word).is_file()]
    assert not missing, f"no {missing}"
    context = command.make_context(verb, list(rest))
    if verb == "run":
        check_snakemake([*context.args, "--configfile", rest[0]])
    elif verb in QUICK and "--measure" not in rest:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, done.output


def check_snakemake(words: list[str]) -> None:
    """Its parser accepts the options, and the plan of the parameter file has the targets."""
    asked = get_argument_parser().parse_args(words)
    (parameters,) = asked.configfile
    assert Path(parameters).is_file()
    assert set(asked.targets) <= targets(Path(parameters).resolve())


@cache
def targets(parameters: Path) -> set[str]:
    return {"paper", *make_plan(read_parameters(parameters)).targets}


def check_benchmark(words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["benchmarks", *words])
        asked = benchmarks._arguments()
    assert asked.name in (*benchmarks.names(), "gpu")


def check_pytest(words: list[str]) -> None:
    """Its files exist and its marks are declared; collecting the tests would take too long."""
    for option, word in zip(["", *words], words, strict=False):
        if option == "-m":
            assert f'"{word}: ' in (REPOSITORY / "pyproject.toml").read_text()
        elif not word.startswith("-"):
            assert Path(word).exists(), f"no {word}"


def check_dvc(words: list[str]) -> None:
    if len(words) < 2:
        assert not words or importlib.util.find_spec(f"dvc.commands.{words[0]}"), f"no dvc {words[0]}"
        return
    asked = get_main_parser().parse_args(words)
    if asked.cmd == "repro":
        assert set(asked.targets) <= set(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"])


PROGRAMS = {"make": check_make, "snakemake": check_snakemake, "dvc": check_dvc}
MODULES = {"dropnas": check_verb, "benchmarks": check_benchmark, "pytest": check_pytest, "pip": lambda words: None}
