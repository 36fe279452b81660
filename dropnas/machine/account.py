"""A name for a user that no database of users knows, as in a container that was started with any uid."""

import getpass
import os


def use_name() -> None:
    """Have libraries find a name of this user; Snakemake and torch ask for one and end in a traceback without."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = os.environ["USER"] = f"uid{os.getuid()}"
