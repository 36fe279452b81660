"""Runs other programs with a short time limit, so that a program that hangs does not keep the user waiting."""

import subprocess
from collections.abc import Mapping

PATIENCE = 20.0  # seconds; more than a working program needs, even on a busy machine


def ask(*command: str, text: str = "", environment: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Return whether a program succeeded, and its output; if it failed, the last line of its error output."""
    try:
        done = subprocess.run(
            command,
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"{command[0]} does not respond"
    except OSError as error:
        return False, f"{command[0]}: {error.strerror}"
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        return False, said[-1] if said else f"{command[0]} ended with status {done.returncode}"
    return True, done.stdout
