"""An archive: one file with reproducible bytes, from which tables, figures and page are made again."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from dropnas.archive import pack as pack_module
from dropnas.archive import unpack as unpack_module
from dropnas.archive.compare_view import comparison
from dropnas.archive.pack import pack
from dropnas.archive.rebuild import rebuild
from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.monitor.costs import page_cost
from dropnas.pipeline.looks import run_looks
from dropnas.pipeline.plan import make_plan
from dropnas.runs.files import read_json
from dropnas.runs.parts import is_heavy
from dropnas.runs.verify import published, verify
from tests.page.made_store import publish, publish_plan, remove
from tests.unit.archive.conftest import content_of, edited


def silent(line: str) -> None:
    pass


def results(root: Path) -> dict[str, bytes]:
    """Every file of the results except the page, which contains time and machine."""
    folder = root / "results"
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "report.html"
    }


def test_the_same_store_gives_the_same_bytes(archived: Path, made: Path, parameters: Path, tmp_path: Path) -> None:
    shutil.rmtree(made / "results")
    again = pack(parameters, made, tmp_path / "again.zip", page_cost)
    assert again.file.read_bytes() == archived.read_bytes()
    assert (again.runs, again.planned, again.size) == (
        len(published(made)),
        len(published(made)),
        archived.stat().st_size,
    )


def test_it_holds_all_light_files_and_no_other_of_the_runs(archived: Path, made: Path) -> None:
    content = content_of(archived)
    light = {
        file.relative_to(made).as_posix(): file.read_bytes()
        for folder in published(made)
        for file in folder.rglob("*")
        if not is_heavy(file.name)
    }
    assert {name: data for name, data in content.items() if name.startswith(("data/", "runs/"))} == light
    tops = {name.partition("/")[0] for name in content}
    assert tops == {
        *("data", "runs", "plans", "results"),
        *("CITATION.cff", "LICENSE", "README.md", ".zenodo.json", "ro-crate-metadata.json"),
    }
    assert "results/study/report.html" in content and "results/study/tables/table6.csv" in content


def test_its_checksums_and_its_metadata_are_those_of_its_files(archived: Path) -> None:
    content = content_of(archived)
    with zipfile.ZipFile(archived) as packed:
        lines = packed.read("SHA256SUMS").decode().splitlines()
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert packed.namelist() == sorted(packed.namelist())
    assert lines == [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(content.items())]
    deposit = json.loads(content[".zenodo.json"])
    assert deposit["creators"] == [{"name": "The DropNAS Reproduced authors"}] and deposit["license"] == "mit"
    assert deposit["publication_date"] == "2026-01-03" and "10.24963/ijcai.2020/322" in str(deposit)
    assert "not a reproduction of the paper" in deposit["description"]


def test_results_are_made_again_in_an_empty_store(archived: Path, made: Path, tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    message = rebuild(archived, root, page_cost, silent)
    assert "Rebuilt: 2 tables and figures." in message and "archive's, byte for byte" in message
    assert results(root) == results(made)
    assert (root / "results/study/report.html").is_file()
    assert verify(root).problems == [] and verify(root).runs == len(published(made))
    hosts = {folder.parent.name: read_json(folder / "run.json")["host"] for folder in published(root)}
    assert hosts["search"] == "node-1" and "node-1" not in (hosts["table"], hosts["figure"])  # these were computed here
    again = rebuild(archived, root, page_cost, silent)
    assert "byte for byte" in again and not list((root / "scratch").iterdir())


SEQUENTIAL = """
profile: seq
description: Seeds only where they decide.
reproduction: true
datasets:
  cifar10: {name: cifar10, source: torchvision}
  cifar100: {name: cifar100, source: torchvision}
tables: [table4]
paper_spaces: [original]
seeds: {looks: [2], most: 3}
"""


def test_the_looks_of_a_sequential_plan_are_judged_again(tmp_path: Path) -> None:
    """The rebuilt results and page have the decisions of the looks, with time and reason."""
    file, root, other = tmp_path / "seq.yaml", tmp_path / "store", tmp_path / "other"
    file.write_text(SEQUENTIAL)
    root.mkdir()

    def start(own: Path) -> int:
        plan = make_plan(read_parameters(own)).by_default()
        publish_plan(plan, root, lambda run: not (root / run.folder).exists())
        return 0

    assert run_looks(file, root, start, silent) == 0
    archived = pack(file, root, tmp_path / "seq.zip", page_cost).file
    told = rebuild(archived, other, page_cost, silent)
    assert "Looks: 1, judged again with the same result." in told and "byte for byte" in told
    assert {"seq/looks.json", "seq/looks.md"} <= results(other).keys() and results(other) == results(root)
    page = (other / "results/seq/report.html").read_text(encoding="utf-8")
    assert "Looks at 2, 3 seeds" in page and "median-unbiased" in page and "(2 seeds)" in page
    assert '<a href="#table4">Table 4</a>, CIFAR-10 original, DropNAS<' in page
    edited(archived, tmp_path / "edited.zip", lambda content: content.update({LOOKS: other_looks(content[LOOKS])}))
    assert "cannot judge them again" in rebuild(tmp_path / "edited.zip", tmp_path / "third", page_cost, silent)


LOOKS = "results/seq/looks.json"


def other_looks(content: bytes) -> bytes:
    """A record that does not follow from the runs."""
    return json.dumps({**json.loads(content), "judged": 7}).encode()


def test_tables_by_other_code_are_taken_as_they_are(
    archived: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, stage: str) -> None:
        raise DropnasError("the code has changed since the spec was written")

    monkeypatch.setattr(unpack_module, "read_spec", refuse)
    message = rebuild(archived, tmp_path, page_cost, silent)
    assert "Not rebuilt, because another version of the code made them: table6-study, figure3-study." in message
    assert results(tmp_path) == results(made)


def test_a_result_that_differs_from_the_archive_is_reported(
    archived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropnas.report.verdict_files.NUMBERS_CAPTION", "Other words.")
    assert "Different from the archive: results/study/verdicts.md." in rebuild(archived, tmp_path, page_cost, silent)


def test_a_store_with_another_computation_of_a_run_is_left_alone(archived: Path, made: Path, tmp_path: Path) -> None:
    run = next(folder for folder in published(made) if folder.parent.name == "retrain").relative_to(made)
    shutil.copytree(made / run, tmp_path / run)
    manifest = read_json(tmp_path / run / "manifest.json")
    manifest["run"]["seconds"] += 1
    (tmp_path / run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        DropnasError, match="the store has another computation of a run of the archive; give an empty folder"
    ):
        rebuild(archived, tmp_path, page_cost, silent)
    assert published(tmp_path) == [tmp_path / run] and not (tmp_path / "plans").exists()


def test_an_archive_is_compared_with_a_store(archived: Path, made: Path) -> None:
    text = comparison(str(archived), "study", made, as_json=False)
    assert "same runs" in text and "differ:" not in text.partition("Table 6")[0]
    assert "0 of 0 tested numbers differ" in text


def test_a_damaged_run_is_not_archived(made: Path, parameters: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "store")
    file = next((tmp_path / "store").glob("runs/search/*/alphas.json"))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(DropnasError, match=r"alphas.json: changed since it was published"):
        pack(parameters, tmp_path / "store", tmp_path / "out.zip", page_cost)
    assert not (tmp_path / "out.zip").exists()


def test_two_computations_of_a_run_are_not_archived_together(made: Path, parameters: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    shutil.copytree(made, root)
    plan = make_plan(read_parameters(parameters)).by_default()
    search = next(run for run in plan.runs.values() if run.stage == "search")
    remove(search, root)
    publish(search, root, git={"commit": "f" * 40, "dirty": False})
    with pytest.raises(
        DropnasError, match=f"its input {search.folder.name} was replaced by another computation; run verify"
    ):
        pack(parameters, root, tmp_path / "out.zip", page_cost)
    assert not (tmp_path / "out.zip").exists()


def test_a_store_without_runs_has_no_archive(parameters: Path, tmp_path: Path) -> None:
    with pytest.raises(DropnasError, match="no run of this plan is finished"):
        pack(parameters, tmp_path, None, page_cost)
    assert not list(tmp_path.glob("*.zip"))


def test_without_a_citation_nothing_is_written(
    made: Path, parameters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "project", lambda: tmp_path)
    with pytest.raises(DropnasError, match=r"CITATION.cff: no such file; run archive in a checkout"):
        pack(parameters, made, tmp_path / "out.zip", page_cost)
    assert not (tmp_path / "out.zip").exists()
