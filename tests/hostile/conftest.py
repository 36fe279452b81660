"""One finished store for all; each test gets it as it was."""

from collections.abc import Iterator

import pytest

from tests.hostile.bench import Bench, make_bench


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("hostile") / "store")


@pytest.fixture
def bench(made: Bench) -> Iterator[Bench]:
    yield made
    made.restore()
