"""Gives a name to a user who is not in the system's user database, for example in a container with an arbitrary uid."""

import getpass
import os


def use_name() -> None:
    """If the user has no name, set one; Snakemake and torch fail without it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = os.environ["USER"] = f"uid{os.getuid()}"
