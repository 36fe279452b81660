"""The Workflow Run RO-Crate in an archive: the requirements of its profile, checked in plain JSON and by the library.

With `pip install roc-validator`, it is also checked by the validator of the profiles' authors.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropnas.archive.crate import crate_text
from dropnas.errors import DropnasError
from dropnas.runs.files import read_json
from dropnas.runs.verify import published
from tests.unit.archive.conftest import content_of

rocrate = pytest.importorskip("rocrate.rocrate", reason="rocrate is not installed: make setup")
Graph = dict[str, dict[str, Any]]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
}


@pytest.fixture(scope="module")
def graph(archived: Path) -> Graph:
    """The entities by their ids, which must be unique."""
    crate = json.loads(content_of(archived)["ro-crate-metadata.json"])
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    found = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(found) == len(crate["@graph"])
    return found


def ids(value: Any) -> list[str]:
    """The entities to which a property refers."""
    return [one["@id"] for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def actions(graph: Graph) -> dict[str, dict[str, Any]]:
    return {id_: one for id_, one in graph.items() if one["@type"] == "CreateAction"}


def test_the_root_is_described_and_follows_the_profiles(graph: Graph) -> None:
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert ids(descriptor["about"]) == ["./"] and "https://w3id.org/ro/crate/1.1" in ids(descriptor["conformsTo"])
    assert set(ids(root["conformsTo"])) == PROFILES
    assert root["datePublished"] == "2026-01-03T04:05:06Z" and root["name"] and root["description"]
    assert ids(root["license"]) == ["https://spdx.org/licenses/MIT"]
    assert ids(root["citation"]) == ["https://doi.org/10.24963/ijcai.2020/322"]


def test_the_main_entity_is_the_frozen_workflow(graph: Graph) -> None:
    (workflow,) = (graph[id_] for id_ in ids(graph["./"]["mainEntity"]))
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert workflow["@id"].startswith("plans/") and workflow["@id"].endswith("/source/Snakefile")
    (language,) = (graph[id_] for id_ in ids(workflow["programmingLanguage"]))
    assert language["@type"] == "ComputerLanguage" and language["name"] == "Snakemake"


def test_every_entity_that_is_named_is_there_and_so_is_its_file(graph: Graph, archived: Path) -> None:
    named = {id_ for entity in graph.values() for value in entity.values() for id_ in ids(value)}
    missing = {id_ for id_ in named - graph.keys() if not id_.startswith(("http://", "https://"))}
    assert missing == set()
    files = content_of(archived)
    data = [id_ for id_, one in graph.items() if {"File", "Dataset"} & {*ids_of_type(one)} and id_ != "./"]
    assert set(data) == set(ids(graph["./"]["hasPart"]))
    assert [
        id_ for id_ in data if not any(name == id_ or (id_[-1] == "/" and name.startswith(id_)) for name in files)
    ] == []


def ids_of_type(entity: dict[str, Any]) -> Iterator[str]:
    kinds = entity["@type"]
    yield from kinds if isinstance(kinds, list) else [kinds]


def test_each_run_is_an_action_with_what_its_manifest_says(graph: Graph, made: Path) -> None:
    folders = {folder.name: f"{folder.relative_to(made).as_posix()}/" for folder in published(made)}
    found = actions(graph)
    assert len(found) == len(folders) + 1
    for folder in published(made):
        record = read_json(folder / "manifest.json")["run"]
        action = found[f"#run-{record['id']}"]
        assert ids(action["result"]) == [folders[folder.name]]
        assert ids(action.get("object")) == [folders[name] for name in record["inputs"]]
        assert (action["startTime"], action["endTime"]) == ("2026-01-02T03:04:05+00:00", "2026-01-03T04:05:06+00:00")
        (instrument,) = (graph[id_] for id_ in ids(action["instrument"]))
        assert (instrument["@type"], instrument["@id"]) == ("SoftwareApplication", f"#stage-{record['stage']}")
    assert not [action for action in found.values() if "agent" in action]


def test_the_start_as_a_whole_is_an_action_of_the_workflow(graph: Graph) -> None:
    (start,) = (one for one in actions(graph).values() if ids(one["instrument"]) == ids(graph["./"]["mainEntity"]))
    assert ids(graph["./"]["mentions"])[0] == start["@id"] and set(ids(graph["./"]["mentions"])) == set(actions(graph))
    assert ids(start["object"])[0].endswith("/parameters.yaml")
    assert "results/study/tables/table6.csv" in ids(start["result"])


def test_the_library_reads_it(archived: Path) -> None:
    crate = rocrate.ROCrate(archived)
    assert crate.mainEntity.id.endswith("Snakefile") and len(crate.root_dataset["mentions"]) > 20


def test_the_validator_of_the_profiles_finds_nothing_required_missing(
    archived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("rocrate_validator") is None:
        pytest.skip("roc-validator is not installed, nor is it locked")
    from rdflib.plugins.shared.jsonld import context, util

    text = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text(encoding="utf-8")
    served = json.loads(text.replace("bioschemas.org/terms/", "bioschemas.org/"))  # as in the context of RO-Crate 1.1
    read = util.source_to_json

    def serve(source: Any, *rest: Any, **named: Any) -> Any:
        return (served, None) if str(source).endswith("/context") else read(source, *rest, **named)

    for module in (context, util):  # before the import of the validator, which copies the functions
        monkeypatch.setattr(module, "source_to_json", serve)
    from rocrate_validator import models, services

    found = services.validate(
        services.ValidationSettings(
            rocrate_uri=archived,
            profile_identifier="workflow-run-crate-0.5",
            requirement_severity=models.Severity.REQUIRED,
        )
    )
    fetched = ("ro-crate-1.1_3.1", "ro-crate-1.1_3.2")  # whether the context can be downloaded
    assert [one.message for one in found.get_issues() if one.check.identifier not in fetched] == []


def test_an_archive_is_not_made_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
    with pytest.raises(DropnasError, match="the metadata needs rocrate, which is not installed; make setup"):
        crate_text(None, [])  # type: ignore[arg-type]
