"""A changed byte is found and its tables are named; unneeded runs are shown, then removed, and nothing else is."""

import os
import shutil
from pathlib import Path

import pytest

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import freeze
from dropnas.pipeline.plan import make_plan
from dropnas.runs.files import write_json
from dropnas.runs.lease import lease
from dropnas.runs.prune import Unwanted, remove
from dropnas.runs.prune import unwanted as unwanted_by
from dropnas.runs.store import Store
from dropnas.runs.verify import verify
from tests.in_process import verb
from tests.unit.sharing.conftest import PARAMETERS, Site


def unwanted(root: Path, parameters: list[Path]) -> list[Unwanted]:
    """The runs that the plans of some parameter files do not need."""
    return unwanted_by(root, [make_plan(read_parameters(file)).runs for file in parameters])


def flip(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_whole_store_has_no_problem(here: Site) -> None:
    found = verify(here.root)
    assert (found.runs, found.light, found.problems, found.tainted, found.unchecked) == (
        *(len(here.plan.runs), 0),
        *([], {}, 0),
    )


def test_a_changed_byte_in_any_file_is_found_and_its_tables_are_named(here: Site) -> None:
    table = str(here.find("table").folder)
    files = sorted(path for path in here.root.glob("*/*/*/*") if path.is_file() and path.parts[-4] in ("data", "runs"))
    tainting = set(here.plan.runs) - {run.id for run in here.plan.runs.values() if run.stage == "architectures"}
    for file in files[:: max(1, len(files) // 25)]:
        before = file.read_bytes()
        flip(file)
        found = verify(here.root)
        assert any(str(file.parent) in line for line in found.problems), file
        assert (table in found.tainted) == (file.parent.name.rpartition("-")[2] in tainting), file
        file.write_bytes(before)
    assert verify(here.root).problems == []


def test_a_table_is_traced_to_a_damaged_run_through_all_runs_between(here: Site) -> None:
    search = here.find("search", "dropnas-seed0")
    flip(here.folder(search) / "supernet.safetensors")
    found = verify(here.root)
    assert found.tainted == {str(here.find("table").folder): str(search.folder)}
    done = verb("verify", root=here.root)
    assert done.status == 1 and f"tainted, because it depends on {search.folder}" in done.err


def test_what_cannot_be_compared_is_counted(here: Site) -> None:
    shutil.rmtree(here.folder(here.find("search", "dropnas-seed0")))
    found = verify(here.root)
    assert found.problems == [] and found.unchecked > 0


def test_a_link_is_a_problem_and_is_not_followed(here: Site, tmp_path: Path) -> None:
    run = here.find("search")
    here.folder(run).rename(tmp_path / "outside")
    here.folder(run).symlink_to(tmp_path / "outside")
    assert any("is a link where a run should be" in line for line in verify(here.root).problems)


@pytest.fixture
def fewer(tmp_path: Path) -> Path:
    """A parameter file with one seed less."""
    file = tmp_path / "fewer.yaml"
    file.write_text(PARAMETERS.replace("seeds: 2", "seeds: 1"), encoding="utf-8")
    return file


def wanted_folders(file: Path) -> set[str]:
    return {str(run.folder) for run in make_plan(read_parameters(file)).runs.values()}


def listed(found: list[Unwanted], kind: str) -> set[str]:
    return {one.folder.name for one in found if one.kind == kind}


def test_nothing_is_unwanted_while_a_plan_has_it(here: Site, parameters: Path, fewer: Path) -> None:
    freeze(parameters, here.root)
    assert unwanted(here.root, [parameters]) == []
    assert unwanted(here.root, [fewer, parameters]) == []


def test_what_no_plan_wants_is_shown_with_its_size_and_stays(here: Site, parameters: Path, fewer: Path) -> None:
    plan = freeze(parameters, here.root)
    before = here.files()
    found = unwanted(here.root, [fewer])
    expected = {str(run.folder) for run in here.plan.runs.values() if run.stage != "data"} - wanted_folders(fewer)
    assert {one.folder.relative_to(here.root).as_posix() for one in found if one.kind == "run"} == expected
    assert listed(found, "plan") == {plan.name}
    one = next(one for one in found if one.kind == "run")
    assert one.size == sum(file.stat().st_size for file in one.folder.iterdir())
    done = verb("prune", fewer, root=here.root)
    assert done.status == 0 and "use --yes to remove" in done.out
    assert all(str(one.folder) in done.out for one in found)
    assert here.files() == before


def test_yes_removes_just_what_was_shown(here: Site, fewer: Path) -> None:
    found = unwanted(here.root, [fewer])
    gone = {one.folder.relative_to(here.root).as_posix() for one in found}
    kept = {name: content for name, content in here.files().items() if str(Path(name).parent) not in gone}
    assert verb("prune", fewer, "--yes", root=here.root).status == 0
    assert here.files() == kept
    assert unwanted(here.root, [fewer]) == [] and verify(here.root).problems == []
    assert list((here.root / "scratch").iterdir()) == []


def test_what_somebody_works_on_stays(here: Site, fewer: Path) -> None:
    run = here.find("retrain", "seed1")
    found = unwanted(here.root, [fewer])
    with lease(Store(here.root).scratch(run.id)):
        assert run.folder.name not in listed(unwanted(here.root, [fewer]), "run")
        remove(found, here.root)  # started between showing and removing
    assert here.folder(run).is_dir()


def test_resume_states_stay_while_their_runs_are_wanted(here: Site, parameters: Path, fewer: Path) -> None:
    unfinished, other = here.find("retrain", "seed0"), here.find("retrain", "seed1")
    for run in (unfinished, other):
        shutil.rmtree(here.folder(run))
        write_json(Store(here.root).scratch(run.id) / "attempts.json", [])
    (here.root / "scratch" / "somebodys-notes").mkdir()
    (here.root / "scratch" / "pull-killed").mkdir()
    assert listed(unwanted(here.root, [parameters]), "scratch") == {"pull-killed"}
    assert listed(unwanted(here.root, [fewer]), "scratch") == {other.id, "pull-killed"}


def test_what_is_not_ours_stays(here: Site, fewer: Path) -> None:
    for name in ("runs/search/notes", "plans/notes", "results/study", "data/own/set-0123456789"):
        (here.root / name).mkdir(parents=True)
        (here.root / name / "file").write_text("mine")
    remove(unwanted(here.root, [fewer]), here.root)
    for name in ("runs/search/notes", "plans/notes", "results/study", "data/own/set-0123456789"):
        assert (here.root / name / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["runs/search/old-0123456789", "runs/search", "runs", "scratch/0123456789", "plans"])
def test_links_are_refused_and_nothing_is_removed(here: Site, fewer: Path, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    if (here.root / place).is_dir():
        (here.root / place).rename(outside)
    else:
        outside.mkdir()
    (outside / "precious").write_text("x")
    (outside / "a-0123456789").mkdir()
    (here.root / place).symlink_to(outside)
    before = sorted(os.walk(tmp_path))
    with pytest.raises(DropnasError, match="is a link"):
        unwanted(here.root, [fewer])
    assert sorted(os.walk(tmp_path)) == before
