"""Names a user whom the system's user database lacks, for example in a container that runs with any uid."""

import getpass
import os


def use_name() -> None:
    """If the user has no name, set one; Snakemake and torch fail without it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = os.environ["USER"] = f"uid{os.getuid()}"
