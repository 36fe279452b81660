# Jobs on a cluster: the image, its environment, the scheduler's stop signal, and the requeueing of stopped jobs.
# - With `--sdm apptainer`, each rule runs in a SIF; otherwise this directive has no effect. `--cleanenv` removes the
#   host's environment, except for the variables that dropnas/machine/container.py passes on.
# - SLURM sends the signal (`--signal` in profiles/slurm) to all processes of a job's steps. No process dies of SIGURG;
#   the trainer saves and ends with status 75. SIGUSR1 would end Snakemake, so it is caught here and in each shell
#   below. It also ends squashfuse, if Apptainer uses it, and with it all files of the image.
# - The Snakemake process in such a job requeues it, outside the image, where SLURM's commands are; as often as needed.
import signal
import threading

sys.path.insert(0, workflow.basedir)
from dropnas.machine import container as runtime
from dropnas.machine import slurm

PASSED = ("DROPNAS_PLAN", "DROPNAS_STOPPED", "PYTHONSAFEPATH", "SLURM_JOB_ID")
PASSED += ("SLURM_RESTART_COUNT",)  # distinguishes an earlier attempt of this job from another job's lease
PASSED += ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")  # evidence that the job was given a GPU


# Relative, because jobs run in the store's folder: Snakemake rejects blanks in an image's path and reads braces as
# wildcards.
container: os.environ.get("DROPNAS_SIF", "containers/dropnas.sif")


def resources(asked):
    """The resources that jobs request; GPUs as `gres` if the site's profile sets one (`gres: gpu:a100`)."""
    site = (workflow.resource_settings.default_resources or {}).get("gres")
    raw = getattr(site, "raw", None)  # for a resource that is not set, Snakemake returns an empty one
    if raw is None:
        return asked
    card = raw.strip("'\"")
    return {**asked, "gpu": 0, "gres": f"{card}:{asked['gpu']}" if asked["gpu"] else ""}


def outlive(number, frame):
    """Do nothing on a signal. (An ignored signal would stay ignored in the job's processes.)"""


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
