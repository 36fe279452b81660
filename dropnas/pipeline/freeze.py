"""A frozen start contains the plan, the resolved parameters and the source code that all of its jobs use.

A cluster job reads the Snakefile again, perhaps days after the start, and must not see later edits of the checkout.
The folder `plans/<id>/` is written once; its id is the checksum of its content, and each job checks it.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from dropnas.config import Machine, Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.effective_options import require_methods
from dropnas.pipeline.jobs import DONE_FOLDER, REPORT_SUFFIXES, Job, jobs
from dropnas.pipeline.plan import PAPER, Plan, make_plan, waiting
from dropnas.pipeline.shipped import PACKAGE_FOLDER as PACKAGE_FOLDER
from dropnas.pipeline.shipped import SHIPPED_FOLDER, shipped
from dropnas.pipeline.specs import spec
from dropnas.pipeline.stages import STAGES, Stage, references
from dropnas.pipeline.starts import current
from dropnas.runs.environment import git_state
from dropnas.runs.files import checksums, read_json, sha256
from dropnas.runs.fingerprint import PACKAGE, closure, module_file
from dropnas.runs.identity import ID_DIGITS, canonical_json, resolved

FROZEN, PLAN = "frozen.json", "plan.json"
# keys that a plan.json must have
PLAN_KEYS = {"profile", "description", "reproduction", "machine", "rules", "jobs", "folders", "on_request", "runs"}
WORKFLOW = ("Snakefile", "workflow", "profiles")


def freeze(parameters: Path, root: Path, targets: Sequence[str] = ()) -> Path:
    """Write the frozen start of a parameter file; the same content gives the same folder.

    Args:
        targets: requested targets; the runs that they need do not share a job with other runs.

    Returns:
        The folder `plans/<id>`, relative to `root`.
    """
    settings = read_parameters(parameters)
    if settings.looks and not settings.look:
        remedy = f"python -m dropnas run {parameters}"
        raise DropnasError("has looks, and each look needs its own start", where=parameters, remedy=remedy)
    plan = make_plan(settings)
    require_methods(plan.by_default().runs.values())
    content = dict(_content(plan, targets))
    id_ = _id({name: hashlib.sha256(data).hexdigest() for name, data in content.items()})
    folder = root / "plans" / id_
    if not folder.exists():
        frozen = {"id": id_, "parameters": str(parameters), "git": git_state(PACKAGE_FOLDER.parent)}
        _write({**content, FROZEN: _json(frozen)}, folder)
    check(folder)
    return Path("plans", id_)


def _content(plan: Plan, targets: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    settings = plan.parameters
    yield from _source(plan)
    yield "parameters.yaml", yaml.safe_dump(resolved(settings), sort_keys=False).encode()
    yield PLAN, _json(plan_content(plan, targets))
    for run in plan.runs.values():
        yield f"specs/{run.id}.json", _json(resolved(spec(run, settings.profile, settings.machine)))


def _json(value: Any) -> bytes:
    return f"{json.dumps(value, sort_keys=True)}\n".encode()  # indenting 1,000 files would take half a second


def _write(content: Mapping[str, bytes], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".freezing-") as temporary:
        staged = Path(temporary, "plan")
        for name, data in content.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(data)
        with suppress(OSError):  # another process may have written the same folder first; `check` follows
            staged.rename(folder)


def check(folder: Path) -> None:
    """Check that a frozen start is unchanged.

    Raises a DropnasError if one of its files was changed, added or removed.
    """
    frozen = read_json(folder / FROZEN)
    if not isinstance(frozen, dict) or _content_id(folder) != frozen.get("id"):
        raise DropnasError("was changed after it was frozen", where=folder, remedy="remove it and start again")


def _content_id(folder: Path) -> str:
    """Compute the id of a frozen start from its files, without the markers of finished jobs, which are added later."""
    found: dict[str, str] = {}
    for part in folder.iterdir():
        if part.is_dir() and part.name != DONE_FOLDER:
            found |= {f"{part.name}/{name}": digest for name, digest in checksums(part).items()}
        elif part.is_file() and part.name != FROZEN:
            found[part.name] = sha256(part)
    return _id({name: digest for name, digest in found.items() if "__pycache__" not in name})


def _id(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(canonical_json(dict(digests)).encode()).hexdigest()[:ID_DIGITS]


def _source(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """The files of the package, the workflow and the user's packages."""
    for part in [PACKAGE_FOLDER, *(shipped() / name for name in WORKFLOW), *sorted(_user_packages(plan))]:
        for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
            name = file.relative_to(part.parent)
            left_out = any(piece.startswith(".") or piece in ("__pycache__", SHIPPED_FOLDER) for piece in name.parts)
            if file.is_file() and not left_out and file.suffix != ".pyc":
                yield f"source/{name.as_posix()}", file.read_bytes()


def _user_packages(plan: Plan) -> set[Path]:
    """The user's top-level packages and modules that the plan's configurations use."""
    found = set()
    for stage, named in {(run.stage, references(run.config)) for run in plan.runs.values()}:
        for module in closure(STAGES[stage].module, named):
            if not module.startswith(f"{PACKAGE}."):
                file = module_file(module.partition(".")[0])
                assert file is not None  # `closure` has read the file
                found.add(file.parent if file.name == "__init__.py" else file)
    return found


def plan_content(plan: Plan, targets: Sequence[str] = ()) -> dict[str, Any]:
    """The content of plan.json, which the workflow, the `results` command and the report page read.

    `rules` gives the resources that the jobs of each rule need. `jobs` lists the jobs of all runs; the runs that the
    requested targets need do not share a job with other runs. `targets` maps each target to the marker of its last job,
    and the key `paper` to the markers of all targets that are built by default. `folders` maps each target to its run
    folder. `looks` lists the number of seeds at each look, and is empty if the number of seeds is fixed. `on_request`
    names the targets that are not built by default. `runs` describes every run; see `descriptions`.
    """
    made = jobs(plan, targets)
    markers = {run.id: job.marker for job in made for run in job.runs}
    behind = waiting(plan)
    return {
        "profile": plan.parameters.profile,
        "description": plan.parameters.description,
        "reproduction": plan.parameters.reproduction,
        "looks": list(plan.parameters.looks),
        "machine": resolved(plan.parameters.machine),
        "rules": {STAGES[name].rule: _rule(STAGES[name], plan.parameters.machine) for name in STAGES},
        "jobs": [_job(job, plan.parameters, markers, max(behind[run.id] for run in job.runs)) for job in made],
        "targets": {name: [markers[run.id]] for name, run in plan.targets.items()}
        | {PAPER: sorted(markers[run.id] for run in plan.by_default().targets.values())},
        "folders": {name: str(run.folder) for name, run in plan.targets.items()},
        "on_request": sorted(plan.on_request),
        "runs": list(descriptions(plan)),
    }


def read_plan(source: Path, root: Path) -> dict[str, Any]:
    """Read the content of plan.json from a frozen start, or make it from a parameter file.

    Args:
        source: a frozen start, as a path or as `plans/<id>` below `root`, or a parameter file.

    Raises a DropnasError if it is neither.
    """
    folder = source if source.is_dir() else root / source
    if not folder.is_dir():
        return plan_content(make_plan(read_parameters(current(source, root))))
    plan = read_json(folder / PLAN)
    if not isinstance(plan, dict) or not plan.keys() >= PLAN_KEYS:
        raise DropnasError("is not a plan that this code can read", where=folder / PLAN, remedy="freeze it again")
    return plan


def _processes(stage: str, machine: Machine) -> int:
    return machine.transfer_processes if stage == "transfer" else 1


def _rule(stage: Stage, machine: Machine) -> dict[str, Any]:
    """The resources that each job of a rule needs; all stages that share the rule need the same."""
    processes = _processes(stage.name, machine)
    return {
        "local": not stage.trains,
        "shown": REPORT_SUFFIXES.get(stage.rule, ""),
        "processes": processes,
        "threads": processes * machine.threads if stage.trains else 1,
        "resources": {
            "gpu": processes * int(stage.trains and machine.device != "cpu"),
            "mem_mb": processes * machine.memory_mb if stage.trains else 2000,
            "runtime": machine.runtime_minutes if stage.trains or stage.name == "data" else 30,
        },
    }


def _job(job: Job, settings: Parameters, markers: Mapping[str, str], priority: int) -> dict[str, Any]:
    processes = _processes(job.stage, settings.machine)
    return {
        "rule": job.rule,
        "name": job.name,
        "marker": job.marker,
        "result": job.result,
        "attempts": job.attempts,
        "command": [STAGES[job.stage].verb, *(["--processes", str(processes)] if processes > 1 else [])],
        "specs": [f"specs/{run.id}.json" for run in job.runs],
        "runs": [run.id for run in job.runs],
        "inputs": list(dict.fromkeys(markers[source.id] for run in job.runs for source in run.inputs)),
        "priority": priority,
    }


def descriptions(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the description of each run in plan.json; inputs are given by their ids."""
    users = plan.used_by()
    for run in plan.runs.values():
        yield {
            "id": run.id,
            "stage": run.stage,
            "name": run.name,
            "folder": str(run.folder),
            "inputs": [source.id for source in run.inputs],
            "used_by": users[run.id],
            "config": resolved(run.config),
        }
