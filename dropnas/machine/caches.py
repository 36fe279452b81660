"""Where libraries keep what they compile: a folder of this user's own, where the home folder will not do.

Design: in the container image HOME may be missing, read-only or shared, so caches lie in the temporary folder, and so
they do wherever the home folder takes no files. Apptainer binds the host's /tmp, where one folder for all would belong
to the node's first user. An image's ENV cannot hold the user's id, so the program sets the paths as it starts. Compiled
kernels are loaded as code, so a folder of another user is refused.
"""

import os
import stat
import tempfile
from pathlib import Path

from dropnas.errors import DropnasError

FOLDERS = {
    "XDG_CACHE_HOME": "",
    "MPLCONFIGDIR": "matplotlib",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
}


def use_own() -> None:
    """In the image, and where the usual folder cannot be written, have libraries use this user's own caches.

    Variables that are already set stay.

    Raises:
        DropnasError: somebody else's folder is in the way, or there is no temporary folder.
    """
    if not set(FOLDERS) - set(os.environ) or ("DROPNAS_IMAGE" not in os.environ and is_writable(usual())):
        return
    own = _temporary() / f"dropnas-caches-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    status = own.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise DropnasError("belongs to another user", where=own, remedy="remove it, or set TMPDIR to another folder")
    for name, folder in FOLDERS.items():
        os.environ.setdefault(name, str(own / folder))


def usual() -> Path:
    """Where libraries keep their caches if nobody says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))


def is_writable(folder: Path) -> bool:
    """Whether files can be put into a folder, which is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise DropnasError(
            "no folder for temporary files can be written", remedy="set TMPDIR to one that can"
        ) from error
