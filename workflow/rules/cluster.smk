# Jobs of a cluster: the image, the environment in it, the scheduler's warning, and the way back after it.
# - With `--sdm apptainer` each rule runs in a SIF; without, this directive does nothing. `--cleanenv` leaves all of the
#   host's environment outside but what dropnas/machine/container.py passes on.
# - SLURM sends the warning (`--signal` in profiles/slurm) to all processes of a job's steps. Of SIGURG none dies; the
#   trainer saves and ends with 75. SIGUSR1 would end Snakemake, so it is caught here, and again in each shell between; it
#   also ends squashfuse where Apptainer uses that, and with it all files of the image.
# - Such a job is requeued by the Snakemake in it, outside the image, where SLURM's commands are: as often as it takes.
import signal
import threading

sys.path.insert(0, workflow.basedir)
from dropnas.machine import container as runtime
from dropnas.machine import slurm

PASSED = ("DROPNAS_PLAN", "DROPNAS_STOPPED", "PYTHONSAFEPATH", "SLURM_JOB_ID")
PASSED += ("SLURM_RESTART_COUNT",)  # that tells a lease of this job's own earlier attempt from another's
PASSED += ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")  # that say that the job was given a GPU


# Relative, as jobs work in the store's folder: Snakemake refuses blanks in an image's path and takes braces for wildcards.
container: os.environ.get("DROPNAS_SIF", "containers/dropnas.sif")


def resources(asked):
    """What jobs ask a scheduler for; GPUs as `gres` where the site's profile names one (`gres: gpu:a100`)."""
    site = (workflow.resource_settings.default_resources or {}).get("gres")
    raw = getattr(site, "raw", None)  # Snakemake gives an empty resource for one that is not set
    if raw is None:
        return asked
    card = raw.strip("'\"")
    return {**asked, "gpu": 0, "gres": f"{card}:{asked['gpu']}" if asked["gpu"] else ""}


def outlive(number, frame):
    """Do nothing on a signal. (An ignored one would stay ignored in the job's processes.)"""


if workflow.remote_exec and "SLURM_JOB_ID" in os.environ:
    STOPPED = ROOT / LOGS / "stopped" / os.environ.get("SLURM_JOB_ID")
    STOPPED.unlink(missing_ok=True)
    os.environ.update(DROPNAS_STOPPED=str(STOPPED))
    signal.signal(signal.SIGUSR1, outlive)
    atexit.register(slurm.come_back, STOPPED)

if workflow.is_main_process:
    submits = lambda: getattr(workflow.executor_plugin, "name", "") == "slurm"
    threading.Thread(target=slurm.keep_requeueing, args=(ROOT, submits), daemon=True).start()
runtime.pass_on({name: value for name, value in os.environ.items() if name in PASSED})
runtime.pass_on({"PYTHONPATH": str(PLAN_FOLDER / "source")})
