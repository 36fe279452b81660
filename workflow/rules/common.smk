# What all rules share: the plan, the environment of the jobs, and the command line of a job.
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import takewhile

ROOT = Path.cwd()  # where the store lies; at exit Snakemake may stand elsewhere
PLAN = json.loads((PLAN_FOLDER / "plan.json").read_text())

# Jobs run the frozen package with this interpreter (a container's own PATH wins inside it). Without SAFEPATH,
# `python -m` would put the working directory, and with it the checkout, before PYTHONPATH.
os.environ["DROPNAS_PLAN"] = str(PLAN_FOLDER)
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLAN_FOLDER / "source"), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])

# Jobs start in the store. Only paths relative to it stand in their commands: Snakemake would fill in what stands in
# braces in the name of a folder above.
FROZEN = f"plans/{PLAN_FOLDER.name}"
LOGGED = f"{FROZEN}/source/workflow/scripts/logged.sh"
LOGS = f"logs/{PLAN['profile']}"


def jobs(*stages):
    """The plan's jobs of some stages."""
    return [job for job in PLAN["jobs"] if job["stage"] in stages]


def specs(job):
    """The files that tell a job's process what to compute."""
    return [f"{FROZEN}/{spec}" for spec in job["specs"]]


def command(verb, processes="1"):
    """The shell command of a job: its verb for all its runs, its output in the job's log.

    Snakemake evaluates it when the job runs, long after a loop over jobs; so `processes` names a parameter of the rule.
    `exec` leaves no shell between that would die of a scheduler's warning. Threads are told, since `--cleanenv` drops them.
    """
    threads = f"export OMP_NUM_THREADS=$(({{threads}} / {processes}));"
    together = f" --processes {processes}" if processes != "1" else ""
    return f"{threads} exec bash {LOGGED} {{log:q}} python -m dropnas {verb}{together} {{params.specs:q}}"


def gpus_here():
    """How many GPUs this host has for us; 0 where jobs run on its CPUs."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:  # CUDA reads it up to the first entry that names no device, such as -1
        names = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
        return len(list(takewhile(re.compile(r"\s*(\d|GPU-|MIG-)").match, names)))
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())  # names, and lines of MIG, hold it too


def refresh_results():
    """Copy what is finished to results/<profile>/: after each start, also one that had nothing to do or was stopped."""
    if workflow.scheduler is not None and not workflow.dryrun:
        subprocess.run(["python", "-m", "dropnas", "results", str(PLAN_FOLDER), "--root", str(ROOT)], check=False)


if workflow.is_main_process:
    atexit.register(refresh_results)
    if "gpu" not in workflow.global_resources and gpus_here():  # profiles/slurm and --resources gpu=N say otherwise
        workflow.register_resource("gpu", gpus_here())
