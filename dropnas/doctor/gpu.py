"""Checks the GPUs of this machine. torch is imported only if there is a GPU."""

import shutil

from dropnas.doctor.check import Checks, Situation, failed, passed, warning
from dropnas.doctor.program import ask
from dropnas.errors import DropnasError
from dropnas.machine import allocation, faults

TRAINED = ("search", "retrain", "transfer", "clusters")


def examine(situation: Situation) -> Checks:
    """Check that a requested GPU is visible, the driver, the architecture, and the number of GPUs."""
    machine = situation.machine
    if machine.device == "cpu":
        yield passed("GPU", "none is requested (machine.device: cpu)")
    elif situation.site.executor != "local":
        yield passed("GPU", "requested from the scheduler; each job checks its own")
    elif machine.device == "auto" and not allocation.evidence() and not listed():
        yield warning("GPU", "none found: trainings run on the CPU", "set machine.device: cpu if that is intended")
    else:
        yield from _with(situation)


def listed() -> list[str]:
    """The GPUs that the driver lists."""
    if not shutil.which("nvidia-smi"):
        return []
    works, said = ask("nvidia-smi", "--list-gpus")
    return [line for line in said.splitlines() if line.startswith("GPU ")] if works else []


def _with(situation: Situation) -> Checks:
    from dropnas.machine import compatibility  # imports torch

    machine, precisions = situation.machine, _precisions(situation)
    try:
        compatibility.require_driver()
        count = compatibility.gpus()
        if not count:
            given = allocation.evidence() or f"machine.device: {machine.device}"
            raise DropnasError(f"{given}, but torch sees no GPU: {compatibility.refusal()}", remedy=faults.SEE_DRIVER)
        compatibility.require_cuda()
        for index in range(count):
            device = compatibility.start(index)
            for precision in precisions:
                compatibility.require_precision(device, precision)
    except DropnasError as error:
        yield failed("GPU", error.what, error.remedy)
        return
    yield passed("GPU", f"{count} visible, torch has code for them")
    together = machine.transfer_processes if any(run.stage == "transfer" for run in situation.runs) else 1
    wanted = max(together, int(machine.device.partition(":")[2] or 0) + 1)
    if wanted > count:
        remedy = "lower machine.transfer_processes, or change machine.device"
        yield failed("GPU count", f"{count} visible, {wanted} needed", remedy)
    else:
        yield passed("GPU count", f"{count} visible, {wanted} needed")


def _precisions(situation: Situation) -> set[str]:
    return {str(getattr(run.config, "precision", "fp32")) for run in situation.runs if run.stage in TRAINED}
