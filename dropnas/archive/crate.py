"""Describes the runs of an archive as a Workflow Run RO-Crate, using their manifests and the library `rocrate`.

Design choices: the root's main entity is the workflow (the frozen Snakefile). One action represents the workflow's
execution, and each run has its own action. The instrument of a run's action is the program of its stage, its objects
are the folders of the run's inputs, and its result is the run's folder. An action has no agent, because the person who
ran it is not recorded. The profiles are those that common tools support: Workflow Run Crate 0.5 on RO-Crate 1.1.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dropnas.archive.archive_file import PARAMETERS, RESULTS_FOLDER
from dropnas.archive.reproduction import Reproduction
from dropnas.errors import DropnasError

VERSION = "1.1"  # version of RO-Crate
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
COMPLETED = "http://schema.org/CompletedActionStatus"
FORMATS = {  # formats of files by suffix; all others are plain text
    **{"html": "text/html", "md": "text/markdown", "csv": "text/csv", "tex": "application/x-tex"},
    **{"json": "application/json", "yaml": "application/yaml", "pdf": "application/pdf"},
    **{"png": "image/png", "svg": "image/svg+xml"},
}


def crate_text(made: Reproduction, names: Sequence[str]) -> str:
    """The text of ro-crate-metadata.json; `names` are the archive's other files.

    Raises a DropnasError if `rocrate` is not installed.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ModuleNotFoundError as error:
        hint = "make setup, or pip install 'dropnas[archive]'"
        raise DropnasError("the metadata needs rocrate, which is not installed", remedy=hint) from error
    crate = ROCrate(version=VERSION)
    _describe(crate, made)
    workflow = _workflow(crate, made)
    inside = tuple(f"{folder}/" for folder in (*made.records, f"{made.plan}/source", f"{made.plan}/specs"))
    files = {}
    for name in (one for one in names if not one.startswith(inside)):
        properties = {"name": name, "encodingFormat": FORMATS.get(name.rpartition(".")[2], "text/plain")}
        files[name] = crate.add_file(dest_path=name, properties=properties)
    results = [entity for name, entity in files.items() if name.startswith(f"{RESULTS_FOLDER}/")]
    parameters, text = [files[f"{made.plan}/{PARAMETERS}"]], f"all runs of profile {made.profile}"
    start = _action(crate, "start", text, made.times, workflow, parameters, results)
    crate.root_dataset["mentions"] = [start, *_runs(crate, made)]
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"


def _describe(crate: Any, made: Reproduction) -> None:
    """Describe the root: title, license, profiles, authors, and the paper."""
    citation, root = made.citation, crate.root_dataset
    root["name"], root["description"], root["datePublished"] = made.title, made.summary, made.times[1]
    licensed = {"name": citation.license, "description": "License"}
    root["license"] = _entity(crate, f"https://spdx.org/licenses/{citation.license}", "CreativeWork", **licensed)
    root["conformsTo"] = [
        _entity(crate, profile, "CreativeWork", name=name, version=profile.rpartition("/")[2])
        for profile, name in PROFILES.items()
    ]
    kinds = ["Person" if "family-names" in author else "Organization" for author in citation.authors]
    authors = enumerate(zip(kinds, citation.names, strict=True), 1)
    root["author"] = _one_or_all([_entity(crate, f"#author-{at}", kind, name=name) for at, (kind, name) in authors])
    root["citation"] = _entity(crate, f"https://doi.org/{made.paper.doi}", "ScholarlyArticle", name=made.paper.title)


def _workflow(crate: Any, made: Reproduction) -> Any:
    """The frozen Snakefile, as the main entity."""
    properties = {"name": f"Workflow of {made.citation.title}", "version": made.citation.version}
    properties["encodingFormat"] = "text/plain"
    name = f"{made.plan}/source/Snakefile"
    workflow = crate.add_workflow(dest_path=name, main=True, lang="snakemake", properties=properties)
    workflow["license"], workflow["author"] = crate.root_dataset["license"], crate.root_dataset["author"]
    return workflow


def _runs(crate: Any, made: Reproduction) -> Iterator[Any]:
    """Add the folder of each run, and yield its action."""
    folders: dict[str, Any] = {}
    verbs: dict[str, Any] = {}
    for name, record in made.records.items():  # inputs come first
        stage, text = record["stage"], f"{record['stage']} {record['name']}"
        properties = {"name": record["name"], "identifier": record["id"], "description": f"{stage} run"}
        folders[name.rpartition("/")[2]] = folder = crate.add_dataset(dest_path=f"{name}/", properties=properties)
        program = {"name": f"dropnas, stage {stage}", "softwareVersion": made.citation.version}
        verbs[stage] = verbs.get(stage) or _entity(crate, f"#stage-{stage}", "SoftwareApplication", **program)
        read = [folders[one] for one in record["inputs"] if one in folders]
        yield _action(crate, record["id"], text, (record["started"], record["ended"]), verbs[stage], read, [folder])


def _action(
    crate: Any,
    id_: str,
    name: str,
    times: tuple[str, str],
    instrument: Any,
    objects: Sequence[Any],
    done: Sequence[Any],
) -> Any:
    """An action with its instrument, objects and results; empty properties are left out."""
    start, end = (time.replace("Z", "+00:00") for time in times)
    texts = {"name": name, "description": f"Computed {name}", "startTime": start, "endTime": end}
    action = _entity(crate, f"#run-{id_}", "CreateAction", actionStatus=COMPLETED, **texts)
    for key, entities in {"instrument": [instrument], "object": objects, "result": done}.items():
        if entities:
            action[key] = _one_or_all(entities)
    return action


def _one_or_all(entities: Sequence[Any]) -> Any:
    """The list of entities or, if there is only one, the entity itself, as RO-Crate requires."""
    return entities[0] if len(entities) == 1 else entities


def _entity(crate: Any, id_: str, kind: str, **properties: str) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, id_, properties={"@type": kind, **properties}))
