"""Where and how jobs run, according to the options for Snakemake and its profile."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dropnas.errors import DropnasError

CONTAINER_PROGRAMS = {"apptainer", "singularity"}


@dataclass(frozen=True)
class Site:
    """The scheduler, the container image and the resources with which a workflow is started."""

    executor: str = "local"  # Snakemake's executor, `local` or `slurm`
    in_image: bool = False  # whether jobs run in the image
    resources: dict[str, Any] = field(default_factory=dict)  # resources that each job requests by default
    jobs: int = 1  # largest number of jobs at the same time


def site(options: Sequence[str]) -> Site:
    """Read the scheduler and the image from options for Snakemake.

    Raises:
        DropnasError: the profile given in the options cannot be read.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", "--workflow-profile")
    parser.add_argument("--executor", "-e")
    parser.add_argument("--sdm", "--software-deployment-method", "--deployment", nargs="+")
    parser.add_argument("--use-apptainer", "--use-singularity", action="store_true")
    parser.add_argument("--default-resources", nargs="+", default=[])
    parser.add_argument("--jobs", "-j", "--cores", "-c")
    given, _ = parser.parse_known_args(list(options))
    profile = _profile(given.profile) if given.profile and given.profile != "none" else {}
    methods = given.sdm or profile.get("software-deployment-method") or profile.get("sdm") or []
    resources = _resources(profile.get("default-resources")) | _resources(given.default_resources)
    jobs = str(given.jobs or profile.get("jobs") or profile.get("cores") or 1)
    return Site(
        executor=str(given.executor or profile.get("executor") or "local"),
        in_image=bool(
            given.use_apptainer or CONTAINER_PROGRAMS & {*([methods] if isinstance(methods, str) else methods)}
        ),
        resources=resources,
        jobs=int(jobs) if jobs.isdigit() else 1,
    )


def _profile(name: str) -> dict[str, Any]:
    file = Path(name, "config.yaml")
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        what = f"is not a readable profile ({error})"
        raise DropnasError(what, where=file, remedy="give a folder such as profiles/slurm") from error
    return found if isinstance(found, dict) else {}


def _resources(given: Any) -> dict[str, Any]:
    """Convert a mapping of resources, or a list of `name=value`, to a mapping; quotes around values are removed."""
    pairs = given if isinstance(given, dict) else dict(str(one).partition("=")[::2] for one in given or [])
    return {str(name): str(value).strip("'\"") for name, value in pairs.items()}
