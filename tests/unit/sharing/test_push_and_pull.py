"""Finished runs go to a DVC remote and come from it: whole or not at all, in their light part first."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dropnas.errors import DropnasError
from dropnas.pipeline.wanted_runs import wanted
from dropnas.runs.lease import lease
from dropnas.runs.parts import is_heavy, is_light
from dropnas.runs.store import Store
from dropnas.runs.verify import verify
from dropnas.sharing.pull import Pulled, pull, require_heavy
from dropnas.sharing.push import push
from tests.page.made_store import publish
from tests.unit.sharing.conftest import Site


def push_all(site: Site, *words: str) -> Any:
    return push(site.root, wanted(words, site.root), "", lambda line: None)


def pull_all(site: Site, *words: str, heavy: bool = False) -> Pulled:
    return pull(site.root, wanted(words, site.root), "", lambda line: None, heavy=heavy)


def states(site: Site) -> set[bool]:
    return {Store(site.root).is_published(site.folder(run)) for run in site.plan.runs.values()}


def test_what_one_pushes_another_pulls_lightly_and_then_wholly(here: Site, there: Site) -> None:
    runs = len(here.plan.runs)
    assert push_all(here).sent == runs
    assert pull_all(there) == Pulled(runs, 0, 0, ())
    light = {name: content for name, content in here.files().items() if not is_heavy(name)}
    assert there.files() == light and states(there) == {True}
    assert verify(there.root).problems == []
    again = pull_all(there, heavy=True)
    assert again.problems == () and again.brought == 0 and again.completed > 0
    assert there.files() == here.files()
    assert not any(is_light(there.folder(run)) for run in there.plan.runs.values())
    assert verify(there.root).problems == [] and list((there.root / "scratch").iterdir()) == []


def test_a_second_push_and_a_second_pull_do_nothing(here: Site, there: Site, remote: Path) -> None:
    push_all(here)
    before = {path: path.stat().st_mtime_ns for path in remote.rglob("*")}
    assert push_all(here).sent == 0
    assert {path: path.stat().st_mtime_ns for path in remote.rglob("*")} == before
    pull_all(there)
    assert pull_all(there) == Pulled(0, 0, len(here.plan.runs), ())


def test_one_run_alone(here: Site, there: Site) -> None:
    run = here.find("search", "dropnas-seed1")
    assert push_all(here, str(run.folder)).sent == 1
    assert pull_all(there, str(run.folder), heavy=True).brought == 1
    assert {Path(name).parent.as_posix() for name in there.files()} == {str(run.folder)}
    assert (there.folder(run) / "supernet.safetensors").is_file()


def test_runs_of_a_parameter_file(here: Site, there: Site, parameters: Path) -> None:
    push_all(here, str(parameters))
    assert pull_all(there, str(parameters)).brought == len(here.plan.runs)
    with pytest.raises(DropnasError, match="neither a parameter file nor a run's folder"):
        pull_all(there, "nothing.yaml")


def test_runs_are_pushed_while_others_are_not_finished(here: Site, there: Site) -> None:
    table = here.find("table")
    shutil.move(here.folder(table), here.root / "staged")
    assert push_all(here).sent == len(here.plan.runs) - 1
    shutil.move(here.root / "staged", here.folder(table))
    assert push_all(here).sent == 1


@pytest.mark.parametrize("name", ["alphas.json", "supernet.safetensors"])
def test_a_damaged_run_is_not_pushed(here: Site, name: str) -> None:
    run = here.find("search")
    with (here.folder(run) / name).open("ab") as file:
        file.write(b" ")
    done = push_all(here)
    assert done.sent == len(here.plan.runs) - 1
    assert len(done.problems) == 1 and str(run.folder) in done.problems[0] and name in done.problems[0]


def test_a_run_with_another_input_than_it_read_is_not_pushed(here: Site) -> None:
    search = here.find("search")
    shutil.rmtree(here.folder(search))
    publish(search, here.root, git={"commit": "f" * 40, "dirty": False})
    done = push_all(here)
    assert any(search.folder.name in line and "another one now" in line for line in done.problems)


def test_a_part_is_never_pushed_as_the_whole(here: Site, there: Site, tmp_path: Path) -> None:
    push_all(here)
    pull_all(there)
    text = (there.root / ".dvc" / "config").read_text()
    (there.root / ".dvc" / "config").write_text(text.replace(str(tmp_path / "remote"), str(tmp_path / "other")))
    done = push_all(there)
    light = sum(is_light(there.folder(run)) for run in there.plan.runs.values())
    assert (done.light, done.sent, done.problems) == (light, len(there.plan.runs) - light, ())


def test_dvc_refuses_to_record_a_part(here: Site, there: Site) -> None:
    push_all(here)
    pull_all(there)
    done = there.dvc("add", "data/cifar10")
    assert done.returncode != 0 and ".dvcignore file should not be in collected dir" in done.stderr
    pull_all(there, heavy=True)
    done = there.dvc("add", "data/cifar10")
    assert done.returncode == 0, done.stderr


def test_a_missing_weight_is_damage_unless_the_run_was_pulled_lightly(here: Site) -> None:
    run = here.find("search")
    (here.folder(run) / "supernet.safetensors").unlink()
    assert any("supernet.safetensors: missing" in line for line in verify(here.root).problems)


def objects(remote: Path) -> list[Path]:
    return sorted(path for path in (remote / "runs" / "files").rglob("*") if path.is_file())


def test_a_changed_object_is_refused_and_nothing_of_the_run_arrives(here: Site, there: Site, remote: Path) -> None:
    push_all(here)
    alphas = here.find("search")
    expected = (here.folder(alphas) / "alphas.json").read_bytes()
    harmed = next(path for path in objects(remote) if path.read_bytes() == expected)
    harmed.chmod(0o644)
    harmed.write_bytes(expected[:-1])
    done = pull_all(there)
    assert len(done.problems) == 1 and "alphas.json on the remote is damaged" in done.problems[0]
    assert not there.folder(alphas).exists() and done.brought == len(here.plan.runs) - 1


def test_an_object_that_is_gone_is_named(here: Site, there: Site, remote: Path) -> None:
    push_all(here)
    expected = (here.folder(here.find("search")) / "alphas.json").read_bytes()
    next(path for path in objects(remote) if path.read_bytes() == expected).unlink()
    assert "alphas.json is not on the remote" in pull_all(there).problems[0]


def entry_of(remote: Path, run: Any) -> Path:
    return next((remote / "runs" / "index" / run.folder).iterdir())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda entry: entry["files"].update({"../../../escaped.json": "0" * 32}), "names no file of a run"),
        (lambda entry: entry["files"].update({"/tmp/escaped.json": "0" * 32}), "names no file of a run"),
        (lambda entry: entry["files"].update({".dvcignore": "0" * 32}), "names no file of a run"),
        (lambda entry: entry["files"].update({"alphas.json": "../../x"}), "names no file of a run"),
        (lambda entry: entry.update({"folder": "runs/search/../../x-0123456789"}), "is not that of the run"),
        (lambda entry: entry.update({"more": 1}), "cannot be read"),
    ],
)
def test_an_entry_that_leads_elsewhere_is_refused(
    here: Site, there: Site, remote: Path, change: Any, told: str
) -> None:
    push_all(here)
    file = entry_of(remote, here.find("search"))
    entry = json.loads(file.read_text())
    change(entry)
    file.write_text(json.dumps(entry))
    with pytest.raises(DropnasError, match=told):
        pull_all(there)
    assert there.files() == {}
    assert not list(there.root.parent.rglob("escaped.json"))


def test_another_run_under_a_name_is_refused(here: Site, there: Site, remote: Path) -> None:
    """Whoever may write to the remote cannot pass off one run as another."""
    push_all(here)
    one, other = here.find("search", "seed0"), here.find("search", "seed1")
    source = entry_of(remote, other)
    forged = json.loads(source.read_text()) | {"folder": str(one.folder)}
    target = entry_of(remote, one)
    target.unlink()
    (target.parent / source.name).write_text(json.dumps(forged))
    problems = pull_all(there, str(one.folder)).problems
    assert "another run under its name" in problems[0] and there.files() == {}


def recompute(site: Site, *runs: Any) -> None:
    for run in runs:
        shutil.rmtree(site.folder(run), ignore_errors=True)
        publish(run, site.root, git={"commit": "e" * 40, "dirty": False})


def test_another_computation_of_a_run_stays_and_nothing_is_mixed_with_it(here: Site, there: Site) -> None:
    """Two people computed a search; the tables of one must not rest on the bytes of the other."""
    push_all(here)
    search = here.find("search", "dropnas-seed0")
    recompute(there, *search.inputs, search)
    before = there.files()
    done = pull_all(there)
    derived = here.find("derive", search.name)
    assert any(f"{derived.folder}: left out: it was made from another {search.folder.name}" in p for p in done.problems)
    assert before.items() <= there.files().items()
    assert verify(there.root).problems == []
    assert any("from another computation, which stays" in line for line in push_all(there).problems)


def test_what_a_run_here_was_made_from_comes_only_as_it_was(here: Site, there: Site) -> None:
    search = here.find("search", "dropnas-seed0")
    derived = here.find("derive", search.name)
    push_all(here)
    pull_all(there, *(str(run.folder) for run in search.inputs))
    recompute(there, search, derived)
    shutil.rmtree(there.folder(search))
    problems = pull_all(there).problems
    assert any(f"{search.folder}: left out: a run here was made from another computation" in line for line in problems)


def test_a_run_in_work_is_left_to_who_works_on_it(here: Site, there: Site) -> None:
    push_all(here)
    run = here.find("search")
    with lease(Store(there.root).scratch(run.id)):
        assert "in work here" in pull_all(there, str(run.folder)).problems[0]
    assert not there.folder(run).exists()
    assert pull_all(there, str(run.folder)).brought == 1


def test_a_stage_gets_the_heavy_part_that_it_reads(here: Site, there: Site) -> None:
    push_all(here)
    pull_all(there)
    run = here.find("search")
    require_heavy(there.folder(run), there.root)
    assert (there.folder(run) / "supernet.safetensors").read_bytes()
    assert not is_light(there.folder(run)) and is_light(there.folder(here.find("retrain")))


def test_without_a_remote_one_line_says_what_to_type(here: Site, there: Site) -> None:
    push_all(here)
    pull_all(there)
    (there.root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    run = here.find("search")
    with pytest.raises(DropnasError, match=f"python -m dropnas pull --heavy {run.folder}") as caught:
        require_heavy(there.folder(run), there.root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_kill_leaves_nothing_half_done(here: Site, there: Site, remote: Path, verb: str) -> None:
    """Killed after ever more files, then repeated: what is there at any moment is whole."""
    if verb == "pull":
        push_all(here)
    site = here if verb == "push" else there
    for after in (1, 40, 90, 200):
        killed = subprocess.run([sys.executable, "-c", KILLED, verb, str(site.root), str(after)], check=False)
        assert killed.returncode == -9
        complete_or_absent(there if verb == "pull" else None, remote)
    done = push_all(here) if verb == "push" else pull_all(there, heavy=True)
    assert done.problems == ()
    pull_all(there, heavy=True)
    assert there.files() == here.files()


def complete_or_absent(store: Site | None, remote: Path) -> None:
    for entry in (remote / "runs" / "index").rglob("*.json"):
        for md5 in json.loads(entry.read_text())["files"].values():
            assert (remote / "runs" / "files" / "md5" / md5[:2] / md5[2:]).is_file()
    if store:
        assert verify(store.root).problems == []


KILLED = """
import os, signal, sys
from pathlib import Path
verb, root, after = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
real, calls = os.replace, [0]

def replace(*arguments):
    calls[0] += 1
    if calls[0] > after:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments)

os.replace = replace
from dropnas.sharing.pull import pull
from dropnas.sharing.push import push
push(root, None, "", print) if verb == "push" else pull(root, None, "", print, heavy=True)
"""


def test_no_remote_and_no_repository_are_told_in_a_line(here: Site, tmp_path: Path, monkeypatch: Any) -> None:
    (here.root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    with pytest.raises(DropnasError, match="no DVC remote is set"):
        push_all(here)
    shutil.rmtree(here.root / ".dvc")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DropnasError, match="lies in no DVC repository"):
        push_all(here)


def test_a_remote_that_cannot_be_written_is_told_in_a_line(here: Site, remote: Path) -> None:
    remote.write_text("a file where the remote should be")
    with pytest.raises(DropnasError) as caught:
        push_all(here)
    assert "\n" not in str(caught.value) and str(remote) in str(caught.value)


def test_no_link_is_followed_into_or_out_of_the_store(here: Site, there: Site, tmp_path: Path) -> None:
    push_all(here)
    run = here.find("search")
    (tmp_path / "outside").mkdir()
    there.folder(run).parent.mkdir(parents=True)
    there.folder(run).symlink_to(tmp_path / "outside")
    with pytest.raises(DropnasError, match="is a link where a run should lie"):
        pull_all(there, str(run.folder))
    there.folder(run).unlink()
    there.folder(run).parent.rmdir()
    there.folder(run).parent.symlink_to(tmp_path / "outside")
    with pytest.raises(DropnasError, match="is a link where a run should lie"):
        pull_all(there, str(run.folder))
    assert os.listdir(tmp_path / "outside") == []
