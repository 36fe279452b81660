"""Where libraries keep what they compile, in the container image: a folder of this user's own.

Design: in the image HOME may be missing, read-only or shared, so caches lie in the temporary folder. Apptainer binds
the host's /tmp, where one folder for all would belong to the node's first user. An image's ENV cannot hold the user's
id, so the program sets the paths as it starts. Compiled kernels are loaded as code, so a folder of another user is
refused.
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
    """In the image, have libraries use this user's own caches; what is set already stands.

    Raises:
        DropnasError: somebody else's folder is in the way.
    """
    if "DROPNAS_IMAGE" not in os.environ or not set(FOLDERS) - set(os.environ):
        return
    own = Path(tempfile.gettempdir(), f"dropnas-caches-{os.getuid()}")
    own.mkdir(mode=0o700, exist_ok=True)
    status = own.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise DropnasError("belongs to another user", where=own, remedy="remove it, or set TMPDIR to another folder")
    for name, folder in FOLDERS.items():
        os.environ.setdefault(name, str(own / folder))
