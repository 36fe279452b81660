"""How a job comes back after SLURM stopped it: from within the job, or, where SLURM has ended it, from the start.

Design: a job that was warned requeues itself, outside of the image, where SLURM's commands are. A job that was
preempted is requeued by SLURM, but for `PreemptMode=CANCEL`, which ends it for good; Snakemake's executor takes that
for a job that still runs. So the start looks for such jobs and requeues them: under the same number, so that the
executor finds them again.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dropnas.errors import DropnasError

INTERVAL = 60.0  # seconds between two looks; SLURM keeps a finished job for MinJobAge, 300 seconds unless set
USUAL = "/usr/bin:/usr/local/bin:/opt/slurm/bin:/usr/local/slurm/bin"  # where a node's PATH may not lead


def program(name: str) -> str:
    """One of SLURM's programs.

    Raises:
        DropnasError: it is not on this node.
    """
    found = shutil.which(name) or shutil.which(name, path=USUAL)
    if not found:
        raise DropnasError(
            f"no {name} on this node, so a job that is stopped cannot requeue itself",
            remedy="put SLURM's programs on the nodes' PATH, or start with --retries 20, which submits it again",
        )
    return found


def come_back(stopped: Path) -> None:
    """Requeue this job if its training was stopped, unless SLURM is ending it: by `scancel`, or for another job.

    Args:
        stopped: the file that says that a training of it was.
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
    """Requeue the jobs of this user in a store that SLURM has ended for another's job; gives their numbers."""
    lines = _output("squeue", "--me", "--states=PREEMPTED", "--noheader", "--format=%A %Z").splitlines()
    jobs = [line.partition(" ")[0] for line in lines if line.partition(" ")[2] == str(store)]
    for job in jobs:
        print(f"job {job} was preempted and is requeued", file=sys.stderr, flush=True)
        subprocess.run(["scontrol", "requeue", job], check=False)
    return jobs


def keep_requeueing(store: Path, submits: Callable[[], bool], interval: float = INTERVAL) -> None:
    """Look for such jobs now and then, for ever, where SLURM is here; for a thread that ends with its process.

    Args:
        submits: whether this process submits jobs to SLURM; asked at each look, as Snakemake decides it late.
    """
    while shutil.which("squeue") and shutil.which("scontrol"):
        time.sleep(interval)
        if submits():
            requeue_preempted(store)


def _output(*command: str) -> str:
    """What a command prints; SLURM's controller may be away for a while, so that it failed is no error."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
