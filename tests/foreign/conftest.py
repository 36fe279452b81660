"""Unusual machines: another uid, other programs, another environment, small or special disks.

A machine is an environment with only the variables that a test sets (as after `env -i`), a folder of stubs and of links
to its programs, and possibly a command such as `unshare` before each other command. If the kernel does not allow what a
test needs, the test is skipped with that reason.
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
WAIT = 900.0  # seconds; far more than any command takes, even on a busy machine
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
        folder: its folder, initially empty; it contains HOME and the temporary folder.
        environment: the complete environment of its commands.
        before: command that starts each other command.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    @property
    def programs(self) -> Path:
        """The folder of the machine's programs, the first on PATH."""
        return self.folder / "bin"

    def stub(self, name: str, script: str) -> Path:
        """Add a shell script as a program."""
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
        return path

    def bare(self) -> "Foreign":
        """Leave only stubs, Python, and standard programs on PATH."""
        for name in PROGRAMS:
            found = shutil.which(name)
            if found and not (self.programs / name).exists():
                (self.programs / name).symlink_to(found)
        self.environment["PATH"] = str(self.programs)
        return self

    def run(self, *command: str, folder: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command; return its status and output."""
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
        """Run a verb of the command line."""
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
    """Skip the test if a command cannot work with this kernel or installation."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT)
    except FileNotFoundError:
        pytest.skip(f"no {command[0]} on this machine")
    if done.returncode:
        pytest.skip(f"not possible here: {' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def nobody(machine: Foreign) -> Foreign:
    """The same machine, used by a uid without an entry in the user database."""
    as_nobody: Sequence[str] = ("unshare", "--user", "--map-user=12345")
    possible(*as_nobody, "true")
    machine.before = tuple(as_nobody)
    return machine
