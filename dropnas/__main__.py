"""`python -m dropnas`. It reports in one line what is missing, so this file runs in any Python 3."""

import sys

HINT = "make setup, then . .venv/bin/activate, or name .venv/bin/python"

if sys.version_info < (3, 11):  # noqa: UP036  (it is started by whatever `python3` is)
    sys.exit(f"error: {sys.executable} is Python {sys.version.split()[0]}, 3.11 is needed; {HINT}")
try:
    from dropnas.cli import main
except ModuleNotFoundError as error:
    if (error.name or "dropnas").partition(".")[0] == "dropnas":
        raise
    sys.exit(f"error: {error.name} is not installed for {sys.executable}; {HINT}")

main()
