# Jobs of a cluster: the image, the environment in it, the scheduler's warning, and the way back after it.
# - With `--sdm apptainer` each rule runs in a SIF; without, this directive does nothing. `--cleanenv` leaves all of the
#   host's environment outside but APPTAINERENV_*, so what a job must know is told there.
# - SLURM sends the warning (`--signal` in profiles/slurm) to all processes of a job's steps. Of SIGURG none dies; the
#   trainer saves and ends with 75. SIGUSR1 would end Snakemake, so it is caught here, and again in each shell between; it
#   also ends squashfuse where Apptainer uses that, and with it all files of the image.
# - Such a job is requeued by the Snakemake in it, outside the image, where SLURM's commands are: as often as it takes.
import signal

QUOTES = "'\""
PASSED = ("DROPNAS_PLAN", "DROPNAS_STOPPED", "PYTHONSAFEPATH", "SLURM_JOB_ID")
PASSED += ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")  # that say that the job was given a GPU


# Relative, as jobs work in the store's folder: Snakemake refuses blanks in an image's path and takes braces for wildcards.
container: os.environ.get("DROPNAS_SIF", "containers/dropnas.sif")


def resources():
    """What jobs ask a scheduler for; GPUs as `gres` where the site's profile names one (`gres: gpu:a100`)."""
    asked = {
        name: lambda wildcards, name=name: of("resources")(wildcards)[name] for name in ("gpu", "mem_mb", "runtime")
    }
    site = (workflow.resource_settings.default_resources or {}).get("gres")
    if site is None:
        return asked
    gpus, card = asked["gpu"], site.raw.strip(QUOTES)
    return {**asked, "gpu": 0, "gres": lambda wildcards: f"{card}:{gpus(wildcards)}" if gpus(wildcards) else ""}


RESOURCES = resources()


def outlive(number, frame):
    """Do nothing on a signal. (An ignored one would stay ignored in the job's processes.)"""


def come_back():
    """Requeue this job if its training was stopped; not if it is being ended anyway, by its owner or for another's job."""
    if STOPPED.exists():
        STOPPED.unlink()
        job = os.environ.get("SLURM_JOB_ID")
        shown = subprocess.run(
            ["scontrol", "show", "--oneliner", "job", job], capture_output=True, text=True, check=False
        )
        if "JobState=RUNNING" in shown.stdout:
            print(f"job {job} was stopped and is requeued", file=sys.stderr, flush=True)
            subprocess.run(["scontrol", "requeue", job], check=False)


if workflow.remote_exec and "SLURM_JOB_ID" in os.environ:
    STOPPED = ROOT / LOGS / "stopped" / os.environ.get("SLURM_JOB_ID")
    STOPPED.unlink(missing_ok=True)
    os.environ.update(DROPNAS_STOPPED=str(STOPPED))
    signal.signal(signal.SIGUSR1, outlive)
    atexit.register(come_back)

os.environ.update(APPTAINERENV_PYTHONPATH=str(PLAN_FOLDER / "source"))
for name in PASSED:
    if name in os.environ:
        os.environ[f"APPTAINERENV_{name}"] = os.environ[name]
