"""A spec describes a run to the command that computes it. A frozen start has one spec file for each of its runs."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dropnas.config import Machine, read_parameters
from dropnas.data.config import DATASETS, DatasetConfig
from dropnas.errors import DropnasError
from dropnas.parsing import parse
from dropnas.pipeline.experiments import dataset_name
from dropnas.pipeline.stages import STAGES, code_of, common, identity
from dropnas.runs.authenticity import id_in
from dropnas.runs.files import read_json
from dropnas.runs.identity import Run, id_of

DEFAULT = Path("params/paper.yaml")
RUN_FOLDER = re.compile(r"(data|runs)/[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*")
SPEC_HINT = "use a spec from plans/<id>/specs/"


@dataclass(frozen=True)
class Spec:
    """A run to compute; folders are relative to the store's root."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    id: str
    stage: str
    name: str
    folder: str
    inputs: tuple[str, ...]  # the folders of the runs that it reads
    config: Any  # the stage's typed configuration; the file of a spec also contains the default values
    identity: dict[str, Any]
    profile: str
    machine: Machine
    location: str  # path of the data set's source; trainings on ImageNet read their images there

    @property
    def group(self) -> list[Any] | None:
        """The values that all runs of a group share; None for a run that trains alone."""
        shared = common(self.config)
        return shared and [self.stage, self.inputs, self.machine, self.location, shared]


def spec(run: Run, profile: str, machine: Machine) -> Spec:
    """The spec of a planned run."""
    inputs = tuple(str(source.folder) for source in run.inputs)
    paths = [str(source.config.path) for source in (run, *run.inputs) if source.stage == "data"]
    what = (run.id, run.stage, run.name, str(run.folder), inputs, run.config, run.identity)
    return Spec(*what, profile, machine, next(iter(paths), ""))


def read_spec(path: Path, stage: str) -> Spec:
    """Read a spec file, and check that it describes a run of this stage.

    Raises a DropnasError if the file is not a spec, is a spec of another stage, or does not match the run that it
    names.
    """
    content = read_json(path)
    try:
        found: Spec = parse(Spec, content, path)
    except DropnasError as error:
        raise DropnasError(f"is not the spec of a run ({error.what})", where=path, remedy=SPEC_HINT) from error
    if found.stage != stage:
        raise DropnasError(f"is the spec of a {found.stage} run, not of a {stage} run", where=path, remedy=SPEC_HINT)
    if not all(RUN_FOLDER.fullmatch(name) for name in (found.folder, *found.inputs)):
        raise DropnasError("its folders are not folders of runs", where=path, remedy=SPEC_HINT)
    found = replace(found, config=parse(STAGES[stage].config, found.config, found.name))
    require_asked(found, path)
    return found


def require_asked(spec: Spec, where: object) -> None:
    """Check that a spec's configuration and inputs, together with the current code, identify the run that it names.

    Raises a DropnasError if they do not, for example because the code has changed since the spec was written.
    """
    found = identity(spec.stage, spec.config, [id_in(name) for name in spec.inputs])
    other = [part for part in found if found[part] != spec.identity.get(part)]
    if other == ["code"]:
        hint = "restore it, or freeze the parameters again"
        raise DropnasError("the code has changed since the spec was written", where=where, remedy=hint)
    name = f"{spec.name}-{id_of(found)}"
    folder = f"data/{spec.config.name}/{name}" if spec.stage == "data" else f"runs/{spec.stage}/{name}"
    if other or found != spec.identity or (spec.id, spec.folder) != (id_of(found), folder):
        part = other[0] if other else "id or folder"
        raise DropnasError(f"its {part} does not match the run that it names", where=where, remedy=SPEC_HINT)


def dataset_specs(names: list[str], parameters: Path | None, path: str) -> list[Spec]:
    """Make the specs of runs that prepare data sets, as a plan does.

    Raises a DropnasError if a name is found neither in the parameter file nor in this package.

    Args:
        names: data sets or roles of the parameter file, or data sets of this package.
        parameters: the parameter file; None uses `params/paper.yaml` if it exists.
        path: path of the source, instead of the one in the parameter file.
    """
    known = {name: DatasetConfig(name, next(iter(one.sources))) for name, one in DATASETS.items()}
    if parameters or DEFAULT.is_file():
        declared = read_parameters(parameters or DEFAULT).datasets
        known |= {config.name: config for config in declared.values()}
        known |= {str(role): config for role, config in declared.items()}
    if unknown := [name for name in names if name not in known]:
        remedy = f"known: {', '.join(sorted(known))}"
        raise DropnasError(f"unknown dataset {unknown[0]!r}", where=parameters or DEFAULT, remedy=remedy)
    configs = [replace(known[name], path=path) if path else known[name] for name in names]
    runs = [Run("data", dataset_name(config), config, (), code_of("data", config)) for config in configs]
    return [spec(run, "data", Machine()) for run in runs]
