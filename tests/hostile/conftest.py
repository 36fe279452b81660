"""One finished store for all tests; each test gets it in its original state."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.bench import Bench, bench_of, make_store


@pytest.fixture(scope="session")
def made(once: Callable[[str, Callable[[Path], object]], Path], tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A copy of the store for this worker, whose tests damage it one after another."""
    own = tmp_path_factory.mktemp("hostile") / "store"
    return bench_of(shutil.copytree(once("hostile-store", make_store), own))


@pytest.fixture
def bench(made: Bench) -> Iterator[Bench]:
    yield made
    made.restore()
