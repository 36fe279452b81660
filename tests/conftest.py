"""What holds for all tests: one thread a process, no limit of time for hypothesis, and folders that are made once.

Design choices: tests run side by side, a worker a core, and start processes of their own; with torch's default, a
thread for each core in every process, these would wait for each other in each small operation. hypothesis judges
results, not how long they took on a busy machine; where it is missing, as it may be on a machine that has a GPU but no
network, the tests that do without it run still.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass
else:
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


@pytest.fixture(scope="session")
def once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Gives a folder by its name, filled by the first worker that asks for it; it is read, or copied, by all."""
    from filelock import FileLock  # comes with torch

    own = tmp_path_factory.getbasetemp()
    root = own.parent if hasattr(request.config, "workerinput") else own  # xdist's workers lie in one folder

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, mark = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not mark.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker whose attempt failed
                folder.mkdir()
                make(folder)
                mark.touch()
        return folder

    return made
