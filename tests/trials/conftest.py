"""The undisturbed chain, computed once for all trials of a test run."""

import pytest

from tests.trials.bench import GROUPED, TRAININGS, Run, undisturbed


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), (*TRAININGS, GROUPED))
