"""Checks the GPUs of this machine. torch is imported only if there is a GPU."""

from dropnas.doctor.check import Checks, Situation, check, run_program
from dropnas.errors import DropnasError
from dropnas.machine import allocation, faults
from dropnas.pipeline.stages import STAGES


def examine(situation: Situation) -> Checks:
    """Check that a requested GPU is visible; check the driver, the architecture, and the number of GPUs."""
    machine = situation.machine
    if machine.device == "cpu":
        yield check("GPU", True, "none is requested (machine.device: cpu)")
    elif situation.site.executor != "local":
        yield check("GPU", True, "requested from the scheduler; each job checks its own")
    elif (
        machine.device == "auto"
        and not allocation.evidence()
        and "GPU " not in run_program("nvidia-smi", "--list-gpus")[1]
    ):
        hint = "set machine.device: cpu if that is intended"
        yield check("GPU", False, "none found: trainings run on the CPU", hint, stops=False)
    else:
        yield from _with(situation)


def _with(situation: Situation) -> Checks:
    from dropnas.machine import compatibility  # imports torch

    machine = situation.machine
    precisions = {getattr(run.config, "precision", "fp32") for run in situation.runs if STAGES[run.stage].trains}
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
        yield check("GPU", False, error.what, error.remedy)
        return
    yield check("GPU", True, f"{count} visible, torch has code for them")
    wanted = max(situation.processes, int(machine.device.partition(":")[2] or 0) + 1)
    remedy = "lower machine.transfer_processes, or change machine.device"
    yield check("GPU count", count >= wanted, f"{count} visible, {wanted} needed", remedy)
