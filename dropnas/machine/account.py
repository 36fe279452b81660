"""Names a user whom the system's user database lacks, for example in a container that runs with any uid."""

import getpass
import os


def use_name() -> None:
    """Set a name for the user, without which Snakemake and torch fail."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = os.environ["USER"] = f"uid{os.getuid()}"
