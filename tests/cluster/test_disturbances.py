"""What happens to jobs on a cluster that other people share: the chain ends with the same bytes, no run is made twice.

Moments are drawn from TRIAL_SEED; counts are printed (pytest -s).
"""

import os
import signal
import subprocess
import time

import pytest

from tests.cluster.conftest import CLUSTER, SEED, SIF, disturb_at_random, slurm

IN_IMAGE = pytest.param(
    True, marks=pytest.mark.skipif(not SIF.is_file(), reason="no containers/dropnas.sif; make sif makes it")
)


def tell(what, bench, count):
    print(
        f"\n{what}: seed {SEED}, {count} disturbances, {bench.lines('is requeued')} requeued by themselves, "
        f"{bench.lines('continues from a checkpoint')} continued, {len(bench.publications())} runs published once, "
        "0 mismatches"
    )


@pytest.mark.parametrize("in_image", [False, IN_IMAGE])
def test_a_warning_stops_a_training_that_comes_back_by_itself(site, reference, in_image):
    bench = site(in_image=in_image)
    process = bench.begin()
    count = disturb_at_random(bench, lambda job: slurm("scancel", "--signal=USR1", job), 3, process)
    bench.finish(process, reference)
    assert count > 0 and bench.lines("is requeued") > 0 and bench.lines("continues from a checkpoint") > 0
    tell("warnings", bench, count)


@pytest.mark.slow
def test_a_requeued_job_goes_on(site, reference):
    bench = site()
    process = bench.begin()
    count = disturb_at_random(bench, lambda job: slurm("scontrol", "requeue", job), 3, process)
    bench.finish(process, reference)
    assert count > 0 and bench.lines("continues from a checkpoint") > 0
    tell("scontrol requeue", bench, count)


@pytest.mark.slow
def test_a_node_goes_down_and_comes_back(site, reference):
    bench = site()
    process = bench.begin()

    def down_and_back(job):
        node = slurm("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip() or "n1"
        slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=trial")
        time.sleep(5)
        slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")

    count = disturb_at_random(bench, down_and_back, 2, process)
    bench.finish(process, reference)
    assert count > 0
    tell("node down and back", bench, count)


@pytest.mark.slow
def test_the_controller_is_restarted(site, reference):
    bench = site()
    process = bench.begin()

    def restart(job):
        pid = int((CLUSTER / "slurmctld.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        time.sleep(8)
        subprocess.run(["slurmctld"], check=True)

    count = disturb_at_random(bench, restart, 2, process)
    bench.finish(process, reference)
    assert count > 0
    tell("slurmctld killed and started", bench, count)


@pytest.mark.slow
def test_a_killed_head_is_followed_by_the_same_command(site, reference):
    bench = site()
    process, count = bench.begin(), 0
    for _ in range(2):
        count += disturb_at_random(bench, lambda job, head=process: head.kill(), 1, process)
        process.wait()
        process = bench.begin()
    bench.finish(process, reference)
    assert count > 0
    tell("head killed", bench, count)


@pytest.mark.slow
def test_a_run_longer_than_the_time_limit_completes(site, reference):
    """The limit is two minutes, the warning comes some time before it, and one retraining needs more."""
    bench = site(profile_changes={"runtime": 2, "slurm_extra": "'--signal=USR1@45 --open-mode=append'"})
    text = bench.parameters.read_text().replace("runtime_minutes: 30", "runtime_minutes: 2")
    bench.parameters.write_text(text.replace("augmented: {epochs: 30}", "augmented: {epochs: 400}"))
    process = bench.begin("table1")
    assert process.wait(2400) == 0, (bench.folder / "start.log").read_text()
    requeued = bench.lines("is requeued")
    assert requeued > 0 and bench.lines("continues from a checkpoint") >= requeued
    assert set(bench.publications().values()) == {1}
    tell("time limit", bench, requeued)


def test_a_job_that_proves_nothing_fails_clearly(site):
    """Where SLURM's records are lost, its executor takes a job for done; only the receipt counts."""
    bench = site()
    (bench.checkout / "workflow" / "scripts" / "logged.sh").write_text("exit 0\n")
    ended = bench.call(bench.command("--latency-wait", "3", "table1"))
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "run.json" in said and "missing" in said.lower()
