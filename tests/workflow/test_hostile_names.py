"""Shell metacharacters in folder names and in parameters: they run no command, and no file is written elsewhere."""

from pathlib import Path

import pytest

from dropnas.config import read_parameters
from dropnas.pipeline.plan import make_plan
from dropnas.pipeline.specs import RUN_FOLDER
from tests.workflow.conftest import Bench, completed, make_bench

NASTY = 'it\'s $(touch pwned) `touch pwned`; touch pwned & "x" {y} {{z}} * #'


@pytest.fixture
def nasty(project: Path, tmp_path: Path, built: Bench) -> Bench:
    """A checkout and a completed store in a folder with such a name."""
    return completed(tmp_path / NASTY, project, built)


@pytest.fixture
def empty(project: Path, tmp_path: Path) -> Bench:
    """A checkout and an empty store."""
    return make_bench(tmp_path, project)


@pytest.mark.parametrize("how", ["run", "plain"])
def test_the_whole_project_in_a_folder_with_a_nasty_name(nasty: Bench, tmp_path: Path, how: str) -> None:
    before = nasty.contents()
    nasty.remove("runs/table", "runs/correlation", "runs/derive")
    if how == "run":
        nasty.run("table1", "table3")
    else:
        done = nasty.plain("table1", "table3", "--configfile", str(nasty.parameters))
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(nasty.finished("table/")) == 2
    assert nasty.contents().items() <= before.items()
    assert (nasty.store / "results" / "micro" / "tables" / "table1.md").is_file()
    assert not list(tmp_path.rglob("pwned"))
    assert [path.name for path in tmp_path.iterdir()] == [NASTY]


@pytest.mark.parametrize("label", ["$(touch pwned)", "; rm -rf x", "../../escaped", "a/b", "`x` 'y' \"z\" | & > f"])
def test_nasty_labels_become_plain_names(empty: Bench, label: str) -> None:
    empty.configure(methods=[{"label": label, "strategy": "dropnas", "options": {"decay": "l2"}}])
    runs = make_plan(read_parameters(empty.parameters)).runs.values()
    assert all(RUN_FOLDER.fullmatch(str(run.folder)) for run in runs)


@pytest.mark.parametrize("profile", ["../up", "a b", "$(x)", "a/b", "", ".hidden", "x;y"])
def test_nasty_profiles_are_refused(empty: Bench, profile: str) -> None:
    empty.configure(profile=profile)
    done = empty.call(empty.command("--dry-run"))
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "profile" in line]) == 1
