"""Every verb of the hostile cases succeeds on the undisturbed store, so a refusal is due to the disturbance."""

from pathlib import Path

import pytest

from tests.hostile.bench import Bench
from tests.hostile.cases import QUICK, SMALL, working_from
from tests.in_process import verb


@pytest.mark.parametrize("stage", [*QUICK, "sample", "fixed"])
def test_a_run_is_made_again_with_the_same_content(bench: Bench, stage: str) -> None:
    for run in bench.of_stage(stage)[:1]:
        before = bench.content(run)
        bench.take_out([run])
        done = bench.compute(run)
        assert done.status == 0 and bench.content(run) == before, done.err


def test_a_job_works_from_its_start(bench: Bench) -> None:
    plan = Path("plans") / next((bench.root / "plans").iterdir()).name
    run = bench.of_stage("select")[0]
    bench.take_out([run])
    with working_from(bench.root / plan):
        done = bench.compute(run)
    assert done.status == 0, done.err


def test_all_other_verbs_succeed(bench: Bench, tmp_path: Path) -> None:
    import yaml

    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    assert verb("verify", root=bench.root).status == 0
    assert verb("plan", tmp_path / "small.yaml", root=bench.root).status == 0
    assert verb("convert", "dropnas_c10").status == 0
