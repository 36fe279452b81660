"""Puts library caches, such as compiled kernels, into a temporary folder if the home directory cannot be used.

Design choices: in the container image, HOME may be missing, read-only or shared, so a temporary folder is used.
Outside of the image, it is used only if the usual folder is not writable. Apptainer binds the host's /tmp, where a
common folder would belong to the first user of the node. The path therefore contains the user's id. The ENV of an image
cannot contain this id, so the program sets the paths when it starts. Compiled kernels are loaded as code, so a folder
of another user is rejected.
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
    """Let libraries put their caches into a temporary folder of this user, if needed.

    This happens in the image, or if the usual folder is not writable. Variables that are already set are kept.

    Raises:
        DropnasError: the folder belongs to another user, or there is no temporary folder.
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
    """The folder in which libraries usually put their caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))


def is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder; it is created if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        what = "no folder for temporary files can be written"
        raise DropnasError(what, remedy="set TMPDIR to a writable folder") from error
