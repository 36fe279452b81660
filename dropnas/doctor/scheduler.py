"""Checks SLURM: whether it would accept the jobs of the plan, and whether this node can ask for their status."""

import os
import re
import shutil

from dropnas.doctor.check import Check, Checks, Situation, check, run_program

UNITS = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}  # units of memory in MB


def examine(situation: Situation) -> Checks:
    """Check SLURM's programs on this node, the partition and its limits, and whether jobs can requeue themselves."""
    if situation.site.executor != "slurm":
        return
    if not shutil.which("sbatch"):
        hint = "start on a login node of the cluster, or leave out the SLURM profile"
        yield check("SLURM", False, "sbatch is not on this node", hint)
        return
    yield check("SLURM", True, "sbatch is available")
    tool = next((name for name in ("sacct", "squeue") if shutil.which(name)), "")
    found = f"comes from {tool}" if tool else "neither sacct nor squeue is on this node"
    yield check("job status", tool, found, "put SLURM's programs on PATH")
    yield _scontrol()
    if shutil.which("scontrol"):
        yield from _partition(situation)


def _scontrol() -> Check:
    if shutil.which("scontrol"):
        found = "is available; compute nodes need it too, so that a stopped job can requeue itself"
        return check("scontrol", True, found)
    hint = "put SLURM's programs on PATH, or start with --retries 20, which submits stopped jobs again"
    return check("scontrol", False, "is not on this node, so a stopped job cannot requeue itself", hint, stops=False)


def _partition(situation: Situation) -> Checks:
    name = situation.site.resources.get("slurm_partition", "")
    works, said = run_program("scontrol", "show", "partition", "--oneliner", *([name] if name else []))
    facts = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in said.splitlines()] if works else []
    found = next((one for one in facts if name or one.get("Default") == "YES"), None)
    if found is None:
        hint = "set slurm_partition in the profile's default-resources to one that `sinfo` lists"
        fault = f"{name or 'the default one'}: {'does not exist' if works else said}"
        yield check("partition", False, fault, hint)
        return
    name, state = found.get("PartitionName", name), found.get("State")
    yield check("partition", state == "UP", f"{name} is {state}", "wait until it is up, or choose another one")
    yield _time(situation, name, found)
    yield _memory(situation, name, found)
    yield from _gpus(situation, name)
    mode = found.get("PreemptMode", "unknown")
    ends = f"{name} ends preempted jobs (PreemptMode=CANCEL)" if "CANCEL" in mode else ""
    hint = "leave this command running: it requeues them"
    yield check("preemption", not ends, ends or f"PreemptMode={mode}", hint, stops=False)


def _time(situation: Situation, name: str, found: dict[str, str]) -> Check:
    limit, wanted = _minutes(found.get("MaxTime", "UNLIMITED")), situation.machine.runtime_minutes
    hint = f"set machine.runtime_minutes to {limit} or less; a longer run is requeued and continues"
    found_out = f"{wanted} min are requested, {name} allows {limit or 'any time'}"
    return check("time limit", limit is None or wanted <= limit, found_out, hint)


def _memory(situation: Situation, name: str, found: dict[str, str]) -> Check:
    wanted = situation.machine.memory_mb * situation.processes
    limits = [_megabytes(found[key]) for key in ("MaxMemPerNode",) if found.get(key, "UNLIMITED") != "UNLIMITED"]
    works, said = run_program("sinfo", "--noheader", "--partition", name, "--format=%m")
    limits += [max((_megabytes(word.rstrip("+")) for word in said.split()), default=wanted)] if works else []
    largest = min(limits, default=wanted)
    hint = "lower machine.memory_mb or machine.transfer_processes, or choose another partition"
    said = f"{wanted} MB are requested, nodes of {name} have up to {largest}"
    return check("memory", wanted <= largest, said, hint)


def _gpus(situation: Situation, name: str) -> Checks:
    works, said = run_program("sinfo", "--noheader", "--partition", name, "--format=%G")
    if works and situation.machine.device != "cpu":
        found = " ".join(sorted(set(said.split()))) if "gpu" in said else f"no node of {name} has a GPU"
        hint = "choose a partition with GPUs, or set machine.device: cpu"
        yield check("GPUs of the partition", "gpu" in said, found, hint)


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
    """In a SLURM job that runs outside an image, check that the node has scontrol."""
    if "SLURM_JOB_ID" in os.environ and "DROPNAS_IMAGE" not in os.environ:
        yield _scontrol()
