"""Requeues jobs that SLURM stopped: a job requeues itself or, if SLURM ended it for good, the workflow requeues it.

Design choices: a job whose training was stopped by a signal requeues itself, outside of the image, where SLURM's
commands are available. SLURM requeues preempted jobs, except with `PreemptMode=CANCEL`, which ends them for good.
Snakemake's executor then believes that the ended jobs are still running. The process that runs the workflow therefore
looks for ended jobs and requeues them with the same job ID, so that the executor finds them again.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dropnas.errors import DropnasError

INTERVAL = 60.0  # seconds between two checks; SLURM keeps a finished job for MinJobAge, by default 300 seconds
USUAL_PATH = "/usr/bin:/usr/local/bin:/opt/slurm/bin:/usr/local/slurm/bin"  # folders that a node's PATH may lack


def program(name: str) -> str:
    """Return the path of one of SLURM's programs.

    Raises:
        DropnasError: the program is not on this node.
    """
    found = shutil.which(name) or shutil.which(name, path=USUAL_PATH)
    if not found:
        raise DropnasError(
            f"no {name} on this node, so a job that is stopped cannot requeue itself",
            remedy="put SLURM's programs on the nodes' PATH, or start with --retries 20, which submits it again",
        )
    return found


def come_back(stopped: Path) -> None:
    """Requeue this job if its training was stopped, unless SLURM itself is ending it (`scancel` or preemption).

    Args:
        stopped: path of a file; it exists if a training of the job was stopped.
    """
    if not stopped.exists():
        return
    stopped.unlink()
    job = os.environ["SLURM_JOB_ID"]
    try:
        scontrol = program("scontrol")
    except DropnasError as error:
        print(f"job {job}: {error}", file=sys.stderr, flush=True)
        return
    if "JobState=RUNNING" in _output(scontrol, "show", "--oneliner", "job", job):
        print(f"job {job} was stopped and is requeued", file=sys.stderr, flush=True)
        subprocess.run([scontrol, "requeue", job], check=False)


def requeue_preempted(store: Path) -> list[str]:
    """Requeue this user's preempted jobs whose working folder is `store`; return the job IDs."""
    lines = _output("squeue", "--me", "--states=PREEMPTED", "--noheader", "--format=%A %Z").splitlines()
    jobs = [line.partition(" ")[0] for line in lines if line.partition(" ")[2] == str(store)]
    for job in jobs:
        print(f"job {job} was preempted and is requeued", file=sys.stderr, flush=True)
        subprocess.run(["scontrol", "requeue", job], check=False)
    return jobs


def keep_requeueing(store: Path, submits: Callable[[], bool], interval: float = INTERVAL) -> None:
    """Call `requeue_preempted` repeatedly while SLURM is available; to be run in a daemon thread.

    Args:
        submits: returns whether this process submits jobs to SLURM. It is called each time, because Snakemake chooses
            its executor after this function has started.
    """
    while shutil.which("squeue") and shutil.which("scontrol"):
        time.sleep(interval)
        if submits():
            requeue_preempted(store)


def _output(*command: str) -> str:
    """The output of a command. A failure is ignored, because SLURM's controller may be unavailable for a while."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
