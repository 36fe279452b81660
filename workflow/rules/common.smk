# Shared by all rules: the plan, the environment of the jobs, and the command line of a job.
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import takewhile

ROOT = Path.cwd()  # root folder of the store; Snakemake may change the working directory before it exits
PLAN = json.loads((PLAN_FOLDER / "plan.json").read_text())

# Jobs run the frozen package with this interpreter (in a container, with the one on the container's PATH). Without
# PYTHONSAFEPATH, `python -m` would import from the working directory, which may be the checkout, before PYTHONPATH.
os.environ.update(
    DROPNAS_PLAN=str(PLAN_FOLDER),
    PYTHONSAFEPATH="1",
    PYTHONPATH=os.pathsep.join(filter(None, [str(PLAN_FOLDER / "source"), os.environ.get("PYTHONPATH")])),
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
)

# Commands of jobs contain only paths relative to the store, where jobs start, because Snakemake would replace braces in
# the names of the folders above it.
FROZEN = f"plans/{PLAN_FOLDER.name}"
DONE = f"{FROZEN}/done"
LOGGED = f"{FROZEN}/source/workflow/scripts/logged.sh"
LOGS = f"logs/{PLAN['profile']}"

BY_NAME = {(job["rule"], job["name"]): job for job in PLAN["jobs"]}


def of(part):
    """A function of a job's wildcards that returns a field of the job in the plan."""
    return lambda wildcards: BY_NAME[wildcards.stage, wildcards.job][part]


def inputs(wildcards):
    """The markers of the jobs whose runs a job reads. They are ancient: only their existence matters."""
    return [ancient(f"{FROZEN}/{marker}") for marker in of("inputs")(wildcards)]


def arguments(wildcards):
    """The arguments of `logged.sh` after PROCESSES: the file for the log, the result, and the job's command."""
    job = BY_NAME[wildcards.stage, wildcards.job]
    specs = [f"{FROZEN}/{spec}" for spec in job["specs"]]
    return [job["attempts"], job["result"], "python", "-m", "dropnas", *job["command"], *specs]


def marker(stage, shown):
    """The path of the markers of a stage's jobs. A suffix `shown` puts them into Snakemake's report."""
    path = f"{DONE}/{{stage}}/{{job}}{shown}"
    kind = {"caption": f"../report/{stage}.rst", "category": f"{stage.title()}s", "labels": {stage: "{job}"}}
    return report(path, **kind) if shown else path


def gpus_here():
    """The number of GPUs that this host offers; 0 if jobs run on its CPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:  # CUDA ignores the list from the first invalid entry on, such as -1
        return len(list(takewhile(re.compile(r"\s*(\d|GPU-|MIG-)").match, visible.split(","))))
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())  # other lines may contain "GPU", too


def refresh_results():
    """Copy finished results to results/<profile>/ when a start ends, even if it had nothing to do or was stopped."""
    if workflow.scheduler is not None and not workflow.dryrun and "DROPNAS_SHOWN" not in os.environ:
        command = ["python", "-m", "dropnas", "results", str(PLAN_FOLDER), "--root", str(ROOT)]
        subprocess.run([*command, *(workflow.dag_settings.targets & PLAN["folders"].keys())], check=False)


if workflow.is_main_process:
    sys.path.insert(0, workflow.basedir)
    from dropnas.pipeline.jobs import write_markers

    write_markers(PLAN, PLAN_FOLDER, ROOT)
    atexit.register(refresh_results)
    if "gpu" not in workflow.global_resources and gpus_here():  # profiles/slurm and --resources gpu=N take precedence
        workflow.register_resource("gpu", gpus_here())
