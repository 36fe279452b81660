"""Machines that are not ours: another uid, other programs, another environment, small or odd disks.

A machine here is an environment that holds nothing but what a test puts there (as after `env -i`), a folder of stubs
and of links to the programs that it has, and perhaps a command before each other one, such as `unshare`. Where the
kernel forbids what a test needs, it is skipped with that reason.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
WAIT = 900.0  # seconds; far more than anything takes, also on a busy machine
PROGRAMS = [
    "awk",
    "basename",
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "dirname",
    "env",
    "grep",
    "head",
    "ln",
    "make",
]
PROGRAMS += ["mkdir", "mktemp", "mv", "rm", "sed", "sh", "sha256sum", "sleep", "tail", "touch", "uname", "wc", "which"]


@dataclass
class Foreign:
    """A machine on which commands run.

    Attributes:
        folder: its own, empty at first; HOME and the temporary folder lie in it.
        environment: all that a command finds there.
        before: what each command is started by.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    @property
    def programs(self) -> Path:
        """The folder of the machine's programs, the first on PATH."""
        return self.folder / "bin"

    def stub(self, name: str, script: str) -> Path:
        """Put a program there that is a shell script."""
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
        return path

    def bare(self) -> "Foreign":
        """Leave nothing on PATH but stubs, Python, and what every system has."""
        for name in PROGRAMS:
            found = shutil.which(name)
            if found and not (self.programs / name).exists():
                (self.programs / name).symlink_to(found)
        self.environment["PATH"] = str(self.programs)
        return self

    def run(self, *command: str, folder: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A command's status and output, whatever they are."""
        return subprocess.run(
            [*self.before, *command],
            cwd=folder or self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WAIT,
            check=False,
        )

    def dropnas(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A verb of the command line."""
        return self.run(sys.executable, "-m", "dropnas", *arguments, **environment)


@pytest.fixture
def machine(tmp_path: Path) -> Foreign:
    """A machine with the project, the test's Python, and the programs of this one."""
    return machine_in(tmp_path)


def machine_in(folder: Path) -> Foreign:
    for name in ("bin", "home", "tmp"):
        (folder / name).mkdir()
    return Foreign(
        folder,
        {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "OMP_NUM_THREADS": "1",
        },
    )


def possible(*command: str) -> None:
    """Skip the test where the kernel, or what is installed, does not let a command work."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT)
    except FileNotFoundError:
        pytest.skip(f"no {command[0]} on this machine")
    if done.returncode:
        pytest.skip(f"not possible here: {' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def nobody(machine: Foreign) -> Foreign:
    """The same as a user that no database knows."""
    as_nobody: Sequence[str] = ("unshare", "--user", "--map-user=12345")
    possible(*as_nobody, "true")
    machine.before = tuple(as_nobody)
    return machine
