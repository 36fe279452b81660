"""Disturbances of jobs on a shared cluster: the chain ends with the same bytes, and no run is computed twice.

Moments are drawn from TRIAL_SEED; counts are printed (pytest -s).
"""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.cluster.conftest import CLUSTER, SEED, SIF, SMOKE, WAIT, slurm

IN_IMAGE = pytest.param(
    True, marks=pytest.mark.skipif(not SIF.exists(), reason="no containers/dropnas.sif; make sif makes it"), id="image"
)


def warn(job):
    """Send SLURM's stop signal, as `--signal` does before the time limit."""
    slurm("scancel", "--signal=URG", job)


def requeue(job):
    slurm("scontrol", "requeue", job)


def lose_node(job):
    node = slurm("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=trial")
    time.sleep(5)
    while "down" in slurm("sinfo", "--noheader", f"--nodes={node}", "--format=%T"):  # it may have recovered by itself
        subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False)
        time.sleep(1)


def preempt(job):
    """Start a job of another partition that takes the whole node for a while."""
    node = slurm("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    asked = ["--partition=first", "--account=lab", f"--nodelist={node}", "--exclusive", "--output=/dev/null"]
    slurm("sbatch", *asked, "--wrap=sleep 10")


def restart_controller(job):
    os.kill(int((CLUSTER / "slurmctld.pid").read_text()), signal.SIGKILL)
    time.sleep(8)
    subprocess.run(["slurmctld"], check=True)


DISTURBANCES = (warn, requeue, preempt, lose_node, restart_controller, warn)


def tell(what, bench, disturbed):
    print(
        f"\n{what}: seed {SEED}, disturbed {disturbed} times, "
        f"{bench.lines('is requeued')} jobs came back by themselves, "
        f"{bench.lines('continues from a checkpoint')} trainings went on, {len(bench.publications())} runs, "
        "each published once, 0 mismatches"
    )


def disturbed(bench, *targets):
    """Start a chain, disturb it in every way at random moments, and finally kill the head; return the disturbances."""
    process, done, dice = bench.begin(*targets), [], random.Random(SEED)
    for disturb in dice.sample(DISTURBANCES, len(DISTURBANCES)):
        job = bench.job_at_work(process)
        if job is None:
            break  # the chain was faster
        time.sleep(dice.uniform(0.0, 3.0))
        if job in bench.running():
            disturb(job)
            done.append(disturb.__name__)
    process.kill()
    process.wait()
    return [*done, "head killed"]


@pytest.mark.parametrize("in_image", [pytest.param(False, id="environment"), IN_IMAGE])
def test_a_chain_disturbed_in_every_way_ends_as_if_left_alone(site, reference, in_image):
    """Each disturbance hits a running training, in random order; finally the head is killed."""
    bench = site(in_image=in_image)
    done = disturbed(bench, "table1")
    bench.finish(bench.begin("table1"), reference)
    assert {"warn", "requeue", "preempt"} <= set(done), done
    assert bench.lines("is requeued") > 0 and bench.lines("continues from a checkpoint") > 0
    tell(", ".join(done), bench, len(done))


@pytest.mark.slow
@pytest.mark.skipif(not SIF.exists(), reason="no containers/dropnas.sif; make sif makes it")
def test_the_smoke_chain_disturbed_in_the_image_has_the_same_tables(site, reference_smoke):
    """All six tables equal those of an undisturbed start on this host, byte for byte."""
    bench = site(in_image=True)
    bench.parameters.write_text(SMOKE.read_text())
    done = disturbed(bench)
    bench.finish(bench.begin(), reference_smoke)
    tell("smoke: " + ", ".join(done), bench, len(done))


@pytest.mark.slow
def test_a_run_longer_than_the_time_limit_completes(site):
    """Each training waits in its second epoch for SLURM's signal, which comes 45 seconds before the time limit."""
    bench = site(defaults={"slurm_extra": "'--signal=URG@45 --open-mode=append'"}, hold=1)
    text = bench.parameters.read_text()
    bench.parameters.write_text(text.replace("runtime_minutes: 30", "runtime_minutes: 3"))
    process = bench.begin("table1")
    assert process.wait(WAIT) == 0, (bench.folder / "start.log").read_text()
    requeued = bench.lines("is requeued")
    assert requeued > 0 and bench.lines("continues from a checkpoint") >= requeued
    assert set(bench.publications().values()) == {1}
    tell("time limit", bench, requeued)


def test_a_job_that_preemption_cancels_comes_back(site):
    """SLURM ends the job for good, and Snakemake's executor believes that it runs; the start requeues it."""
    bench = site(defaults={"slurm_partition": "lost"})
    process = bench.begin("table1")
    job = bench.job_at_work(process)
    assert job is not None, (bench.folder / "start.log").read_text()
    preempt(job)
    assert process.wait(WAIT) == 0, (bench.folder / "start.log").read_text()
    said = "".join(log.read_text() for log in bench.store.glob("logs/trial/snakemake-*.log"))
    assert f"job {job} was preempted and is requeued" in said
    assert {log.name for log in bench.store.glob(".snakemake/slurm_logs/*")} == {"rule_search", "rule_retrain"}
    assert set(bench.publications().values()) == {1}


def test_a_job_that_proves_nothing_fails_clearly(site):
    """If SLURM's records are lost, the executor believes that a job is done; only the marker counts."""
    bench = site()
    (bench.checkout / "workflow" / "scripts" / "logged.sh").write_text("exit 0\n")
    ended = bench.call(bench.command("--latency-wait", "3", "table1"))
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "/done/" in said and "missing" in said.lower()
