"""Checks SLURM: whether it would accept the jobs of the plan, and whether a start can monitor them."""

import os
import re
import shutil

from dropnas.doctor.check import Check, Checks, Situation, failed, passed, warning
from dropnas.doctor.program import ask

UNITS = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}  # units of memory in MB


def examine(situation: Situation) -> Checks:
    """Check SLURM's programs on this node, the partition with its limits, and what a job needs to requeue itself."""
    if situation.site.executor != "slurm":
        return
    if not shutil.which("sbatch"):
        hint = "start on a login node of the cluster, or leave out the SLURM profile"
        yield failed("SLURM", "sbatch is not on this node", hint)
        return
    yield passed("SLURM", "sbatch is available")
    tool = next((name for name in ("sacct", "squeue") if shutil.which(name)), "")
    if tool:
        yield passed("job status", f"comes from {tool}")
    else:
        yield failed("job status", "neither sacct nor squeue is on this node", "put SLURM's programs on PATH")
    yield _scontrol()
    if shutil.which("scontrol"):
        yield from _partition(situation)


def _scontrol() -> Check:
    if shutil.which("scontrol"):
        return passed("scontrol", "is available; compute nodes need it too, so that a stopped job can requeue itself")
    hint = "put SLURM's programs on PATH, or start with --retries 20, which submits stopped jobs again"
    return warning("scontrol", "is not on this node, so a stopped job cannot requeue itself", hint)


def _partition(situation: Situation) -> Checks:
    name = situation.site.resources.get("slurm_partition", "")
    works, said = ask("scontrol", "show", "partition", "--oneliner", *([name] if name else []))
    facts = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in said.splitlines()]
    found = next((one for one in facts if name or one.get("Default") == "YES"), None) if works else None
    if found is None:
        hint = "set slurm_partition in the profile's default-resources to one that `sinfo` lists"
        yield failed("partition", f"{name or 'the default one'}: {said if not works else 'does not exist'}", hint)
        return
    name = found.get("PartitionName", name)
    if found.get("State") != "UP":
        yield failed("partition", f"{name} is {found.get('State')}", "wait until it is up, or choose another one")
    else:
        yield passed("partition", f"{name} is up")
    yield _time(situation, name, found)
    yield _memory(situation, name, found)
    yield from _gpus(situation, name)
    if "CANCEL" in found.get("PreemptMode", ""):
        hint = "leave this command running: it requeues them"
        yield warning("preemption", f"{name} ends preempted jobs (PreemptMode=CANCEL)", hint)
    else:
        yield passed("preemption", f"PreemptMode={found.get('PreemptMode', 'unknown')}")


def _time(situation: Situation, name: str, found: dict[str, str]) -> Check:
    limit, wanted = _minutes(found.get("MaxTime", "UNLIMITED")), situation.machine.runtime_minutes
    if limit is not None and wanted > limit:
        hint = f"set machine.runtime_minutes to {limit} or less; a longer run is requeued and continues"
        return failed("time limit", f"{wanted} min are requested, but {name} allows {limit}", hint)
    return passed("time limit", f"{wanted} min are requested, {name} allows {limit or 'any time'}")


def _memory(situation: Situation, name: str, found: dict[str, str]) -> Check:
    machine = situation.machine
    together = machine.transfer_processes if any(run.stage == "transfer" for run in situation.runs) else 1
    wanted = machine.memory_mb * together
    limits = [_megabytes(found[key]) for key in ("MaxMemPerNode",) if found.get(key, "UNLIMITED") != "UNLIMITED"]
    works, said = ask("sinfo", "--noheader", "--partition", name, "--format=%m")
    limits += [max((_megabytes(word.rstrip("+")) for word in said.split()), default=wanted)] if works else []
    largest = min(limits, default=wanted)
    if wanted > largest:
        hint = "lower machine.memory_mb or machine.transfer_processes, or choose another partition"
        return failed("memory", f"{wanted} MB are requested, but no node of {name} has more than {largest}", hint)
    return passed("memory", f"{wanted} MB are requested, nodes of {name} have up to {largest}")


def _gpus(situation: Situation, name: str) -> Checks:
    if situation.machine.device == "cpu":
        return
    works, said = ask("sinfo", "--noheader", "--partition", name, "--format=%G")
    if works and "gpu" not in said:
        hint = "choose a partition with GPUs, or set machine.device: cpu"
        yield failed("GPUs of the partition", f"no node of {name} has a GPU", hint)
    elif works:
        yield passed("GPUs of the partition", " ".join(sorted(set(said.split()))))


def _minutes(text: str) -> int | None:
    """Convert a limit such as `2-00:00:00`, `12:00:00` or `30:00` to minutes; None if there is no limit."""
    days, _, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":") if part.isdigit()]
    if not parts:
        return None
    hours, minutes, *_ = [*parts, 0] if len(parts) == 3 else [0, *parts]
    return int(days or 0) * 1440 + hours * 60 + minutes


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", text)
    return int(int(match[1]) * UNITS[match[2]]) if match else 0


def in_job() -> Checks:
    """Check the node of a job that SLURM started, outside of an image."""
    if "SLURM_JOB_ID" in os.environ and "DROPNAS_IMAGE" not in os.environ:
        yield _scontrol()
