"""Runs `python -m dropnas`. The file works in any Python 3, so it can reject old versions with a one-line error."""

import sys

SETUP_HINT = "run make setup and . .venv/bin/activate, or use .venv/bin/python"

if sys.version_info < (3, 11):  # noqa: UP036  (any `python3` may start it)
    sys.exit(f"error: {sys.executable} is Python {sys.version.split()[0]}, 3.11 is needed; {SETUP_HINT}")
try:
    from dropnas.cli import main
except ModuleNotFoundError as error:
    if (error.name or "dropnas").partition(".")[0] == "dropnas":
        raise
    sys.exit(f"error: {error.name} is not installed for {sys.executable}; {SETUP_HINT}")

main()
