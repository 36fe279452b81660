# Jobs on a cluster: the image, its environment, the scheduler's stop signal, and the requeueing of stopped jobs.
# - With `--sdm apptainer`, jobs run in a SIF; otherwise `container:` has no effect. `--cleanenv` removes the
#   host's environment, except for the variables that dropnas/machine/container.py passes on.
# - SLURM sends the stop signal (`--signal` in profiles/slurm) to all processes of a job. It is SIGURG, which by default
#   ends no process; the trainer saves and ends with status 75. SIGUSR1 would end Snakemake and the shells, so it is
#   caught here and in logged.sh. It also ends squashfuse, if Apptainer uses it, and the image then loses all its files.
# - The Snakemake process of a stopped job requeues the job, as often as needed. It runs outside the image, where the
#   commands of SLURM are.
import signal
import threading

sys.path.insert(0, workflow.basedir)
from dropnas.machine import container as runtime
from dropnas.machine import slurm

PASSED = ("DROPNAS_PLAN", "DROPNAS_STOPPED", "PYTHONSAFEPATH", "SLURM_JOB_ID")
PASSED += ("SLURM_RESTART_COUNT",)  # distinguishes an earlier attempt of this job from another job's lease
PASSED += ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")  # show that the job was given a GPU


# A path relative to the store, where jobs run: Snakemake rejects blanks in it and reads braces as wildcards.
container: os.environ.get("DROPNAS_SIF", "containers/dropnas.sif")


def resources(asked):
    """The resources that jobs request; GPUs as `gres` if the profile sets it (`gres: gpu:a100`)."""
    site = (workflow.resource_settings.default_resources or {}).get("gres")
    raw = getattr(site, "raw", None)  # Snakemake returns an empty object for a resource that is not set
    if raw is None:
        return asked
    card = raw.strip("'\"")
    return {**asked, "gpu": 0, "gres": f"{card}:{asked['gpu']}" if asked["gpu"] else ""}


def outlive(number, frame):
    """Do nothing. SIG_IGN is not used, because the job's processes would inherit it."""


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
