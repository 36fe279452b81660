"""Settings of all tests: one thread per process, no time limit for hypothesis, and folders that are made once.

Design choices: tests run in parallel, one worker per core, and start further processes. With torch's default (one
thread per core in every process), these would wait for each other in every small operation. hypothesis must judge
results, not their duration on a busy machine. If it is missing, as on a machine with a GPU but no network, the tests
that do not need it still run.
"""

import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported
gc.disable()  # until all tests are collected, since their modules are no garbage

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass
else:
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Collect garbage again, except among the modules and tests that exist now."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return the folder of that name, filled by the first worker that requests it; tests only read or copy it."""
    from filelock import FileLock  # comes with torch

    own = tmp_path_factory.getbasetemp()
    root = own.parent if hasattr(request.config, "workerinput") else own  # xdist's workers share the parent folder

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, mark = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not mark.exists():
                shutil.rmtree(folder, ignore_errors=True)  # remains of a worker whose attempt failed
                folder.mkdir()
                make(folder)
                mark.touch()
        return folder

    return made
