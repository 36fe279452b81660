"""A frozen start: plan, resolved parameters and source, written once under `plans/<id>/`, from which all jobs work.

Each job of a cluster reads the Snakefile again, days after the start; whatever was edited in the checkout meanwhile
must not reach it. The folder's name is the checksum of what it holds, and each job checks it.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dropnas.config import Machine, Parameters, read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.look_files import current
from dropnas.pipeline.method_checks import require_methods
from dropnas.pipeline.plan import Job, Plan, jobs, make_plan, waiting
from dropnas.pipeline.stages import STAGES, references
from dropnas.runs.environment import git_state
from dropnas.runs.files import checksums, read_json, write_json, write_text
from dropnas.runs.fingerprint import PACKAGE, closure, module_file
from dropnas.runs.identity import ID_DIGITS, Run, canonical_json, resolved
from dropnas.runs.store import Store

FROZEN, PLAN = "frozen.json", "plan.json"
PARTS = {"profile", "description", "reproduction", "machine", "jobs", "folders", "on_request", "runs"}  # that are read
WORKFLOW = ("Snakefile", "workflow", "profiles")


def freeze(parameters: Path, root: Path) -> Path:
    """Write the frozen start of a parameter file; the same content gives the same folder.

    Returns:
        The folder `plans/<id>`, relative to `root`.
    """
    settings = read_parameters(parameters)
    if settings.looks and not settings.look:
        remedy = f"python -m dropnas run {parameters}"
        raise DropnasError("has looks, which a single start does not go through", where=parameters, remedy=remedy)
    plan = make_plan(settings)
    require_methods(plan)
    _require_proved(plan, root)
    plans = root / "plans"
    plans.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plans, prefix=".freezing-") as temporary:
        staged = Path(temporary) / "plan"
        _copy_source(plan, staged / "source")
        write_text(staged / "parameters.yaml", yaml.safe_dump(resolved(settings), sort_keys=False))
        for run in plan.runs.values():
            write_json(staged / "specs" / f"{run.id}.json", spec(run, settings.profile, settings.machine))
        write_json(staged / PLAN, plan_content(plan))
        id_ = _content_id(staged)
        write_json(staged / FROZEN, {"id": id_, "parameters": str(parameters), "git": git_state(_project())})
        if not (plans / id_).exists():
            os.replace(staged, plans / id_)
    check(plans / id_)
    return Path("plans", id_)


def _require_proved(plan: Plan, root: Path) -> None:
    """The workflow goes by receipts, so none may stand without the manifest that proves its run."""
    for run in plan.runs.values():
        if (root / run.receipt).is_file() and not Store(root).is_published(root / run.folder):
            raise DropnasError("has a receipt but no manifest", where=root / run.folder, remedy="remove the folder")


def check(folder: Path) -> None:
    """Require that a frozen start is what it was when it was written.

    Raises:
        DropnasError: a file of it was changed, added or removed.
    """
    frozen = read_json(folder / FROZEN)
    if not isinstance(frozen, dict) or _content_id(folder) != frozen.get("id"):
        raise DropnasError("was changed after it was frozen", where=folder, remedy="remove it and start again")


def _content_id(folder: Path) -> str:
    found = checksums(folder)
    kept = {name: value for name, value in found.items() if name != FROZEN and "__pycache__" not in name}
    return hashlib.sha256(canonical_json(kept).encode()).hexdigest()[:ID_DIGITS]


def _project() -> Path:
    """The folder that holds the package: the checkout."""
    package = module_file(PACKAGE)
    assert package is not None  # this very package
    return package.parent.parent


def _copy_source(plan: Plan, destination: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")
    project = _project()
    for part in [project / PACKAGE, *(project / name for name in WORKFLOW), *sorted(_user_packages(plan))]:
        if part.is_dir():
            shutil.copytree(part, destination / part.name, ignore=ignore)
        elif part.is_file():
            destination.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part, destination / part.name)


def _user_packages(plan: Plan) -> set[Path]:
    """The top-level packages and modules of the user's that runs of the plan name."""
    found = set()
    for run in plan.runs.values():
        for module in closure(STAGES[run.stage].module, references(run.config)):
            if not module.startswith(f"{PACKAGE}."):
                file = module_file(module.partition(".")[0])
                assert file is not None  # the walk has read it
                found.add(file.parent if file.name == "__init__.py" else file)
    return found


def spec(run: Run, profile: str, machine: Machine) -> dict[str, Any]:
    """All that a stage's verb needs to compute a run."""
    return {
        "id": run.id,
        "stage": run.stage,
        "name": run.name,
        "folder": str(run.folder),
        "inputs": [str(source.folder) for source in run.inputs],
        "config": resolved(run.config),
        "identity": run.identity,
        "profile": profile,
        "machine": resolved(machine),
        "location": _location(run),
    }


def _location(run: Run) -> str:
    """Where the source of the run's dataset lies; ImageNet's images are read from there in training too."""
    datasets = [source.config for source in (run, *run.inputs) if source.stage == "data"]
    return str(datasets[0].path) if datasets else ""


def plan_content(plan: Plan) -> dict[str, Any]:
    """A plan as plan.json holds it: what the workflow, the results and the report page read.

    Its `targets` are receipts by target, `paper` all that are built by default; `folders` the folder of each target;
    `looks` the seeds at each look, empty where their number is fixed; `on_request` the names of the other targets;
    `runs` every run with id, stage, name, folder, inputs (ids), used_by, config.
    """
    targets = {name: [str(run.receipt)] for name, run in plan.targets.items()}
    default = [str(run.receipt) for run in plan.by_default().targets.values()]
    return {
        "profile": plan.parameters.profile,
        "description": plan.parameters.description,
        "reproduction": plan.parameters.reproduction,
        "looks": list(plan.parameters.looks),
        "machine": resolved(plan.parameters.machine),
        "jobs": _jobs(plan),
        "targets": {**targets, "paper": sorted(default)},
        "folders": {name: str(run.folder) for name, run in plan.targets.items()},
        "on_request": sorted(plan.on_request),
        "runs": list(_descriptions(plan)),
    }


def read_plan(source: Path, root: Path) -> dict[str, Any]:
    """A plan as plan.json holds it.

    Args:
        source: a frozen start, `plans/<id>` as it stands or below `root`, or a parameter file.

    Raises:
        DropnasError: it is neither.
    """
    folder = source if source.is_dir() else root / source
    if not folder.is_dir():
        return plan_content(make_plan(read_parameters(current(source, root))))
    plan = read_json(folder / PLAN)
    if not isinstance(plan, dict) or not plan.keys() >= PARTS:
        raise DropnasError("is no plan that this code can read", where=folder / PLAN, remedy="freeze it again")
    return plan


def _jobs(plan: Plan) -> list[dict[str, Any]]:
    behind = waiting(plan)
    return [_job(job, plan.parameters, max(behind[run.id] for run in job.runs)) for job in jobs(plan)]


def _job(job: Job, settings: Parameters, priority: int) -> dict[str, Any]:
    own = {run.id for run in job.runs}
    inputs = {str(source.receipt): None for run in job.runs for source in run.inputs if source.id not in own}
    trains = STAGES[job.stage].trains
    processes = settings.machine.transfer_processes if job.stage == "transfer" else 1
    return {
        "stage": job.stage,
        "name": job.name,
        "runs": [run.id for run in job.runs],
        "inputs": list(inputs),
        "receipts": [str(run.receipt) for run in job.runs],
        "specs": [f"specs/{run.id}.json" for run in job.runs],
        "priority": priority,
        "processes": processes,
        "threads": processes * settings.machine.threads if trains else 1,
        "resources": {
            "gpu": processes * int(trains and settings.machine.device != "cpu"),
            "mem_mb": processes * settings.machine.memory_mb if trains else 2000,
            "runtime": settings.machine.runtime_minutes if trains or job.stage == "data" else 30,
        },
    }


def _descriptions(plan: Plan) -> Iterator[dict[str, Any]]:
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
