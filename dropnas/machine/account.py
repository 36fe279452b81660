"""A name for a user that the system's user database lacks, for example in a container that runs with any uid."""

import getpass
import os


def use_name() -> None:
    """Make the user's name available to libraries: Snakemake and torch ask for it and fail without one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = os.environ["USER"] = f"uid{os.getuid()}"
