"""Finished runs go to a DVC remote and come from it: completely or not at all, the light part first."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dropnas.errors import DropnasError
from dropnas.pipeline.starts import wanted
from dropnas.runs.identity import Run
from dropnas.runs.lease import lease
from dropnas.runs.parts import is_heavy, is_light
from dropnas.runs.store import Store
from dropnas.runs.verify import verify
from dropnas.sharing.pull import Pulled, pull, require_heavy
from dropnas.sharing.push import push
from tests.in_process import verb
from tests.page.made_store import publish
from tests.unit.sharing.conftest import Site


def push_all(site: Site, *words: str) -> Any:
    return push(site.root, wanted(words, site.root), "", lambda line: None)


def pull_all(site: Site, *words: str, heavy: bool = False) -> Pulled:
    return pull(site.root, wanted(words, site.root), "", lambda line: None, heavy=heavy)


def states(site: Site) -> set[bool]:
    return {Store(site.root).is_published(site.folder(run)) for run in site.plan.runs.values()}


def test_what_one_pushes_another_pulls_first_light_then_complete(here: Site, there: Site) -> None:
    runs = len(here.plan.runs)
    assert push_all(here).sent == runs
    assert pull_all(there) == Pulled(runs, 0, 0, 0, ())
    light = {name: content for name, content in here.files().items() if not is_heavy(name)}
    assert there.files() == light and states(there) == {True}
    assert verify(there.root).problems == []
    again = pull_all(there, heavy=True)
    assert again.problems == () and again.new == 0 and again.completed > 0
    assert there.files() == here.files()
    assert not any(is_light(there.folder(run)) for run in there.plan.runs.values())
    assert verify(there.root).problems == [] and list((there.root / "scratch").iterdir()) == []


def test_a_second_push_and_a_second_pull_do_nothing(here: Site, there: Site, remote: Path) -> None:
    push_all(here)
    before = {path: path.stat().st_mtime_ns for path in remote.rglob("*")}
    assert push_all(here).sent == 0
    assert {path: path.stat().st_mtime_ns for path in remote.rglob("*")} == before
    pull_all(there)
    assert pull_all(there) == Pulled(0, 0, len(here.plan.runs), 0, ())


def test_one_run(here: Site, there: Site) -> None:
    run = here.find("search", "dropnas-seed1")
    assert push_all(here, str(run.folder)).sent == 1
    assert pull_all(there, str(run.folder), heavy=True).new == 1
    assert {Path(name).parent.as_posix() for name in there.files()} == {str(run.folder)}
    assert (there.folder(run) / "supernet.safetensors").is_file()


def test_runs_of_a_parameter_file(here: Site, there: Site, parameters: Path) -> None:
    push_all(here, str(parameters))
    assert pull_all(there, str(parameters)).new == len(here.plan.runs)
    with pytest.raises(DropnasError, match="neither a parameter file nor the folder of a run"):
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
    assert any(search.folder.name in line and "was replaced by another computation" in line for line in done.problems)


def test_a_light_run_is_never_pushed(here: Site, there: Site, tmp_path: Path) -> None:
    push_all(here)
    pull_all(there)
    text = (there.root / ".dvc" / "config").read_text()
    (there.root / ".dvc" / "config").write_text(text.replace(str(tmp_path / "remote"), str(tmp_path / "other")))
    done = push_all(there)
    light = sum(is_light(there.folder(run)) for run in there.plan.runs.values())
    assert (done.light, done.sent, done.problems) == (light, len(there.plan.runs) - light, ())


def test_dvc_refuses_to_record_a_light_run(here: Site, there: Site) -> None:
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


def copies(remote: Path, run: Run) -> Path:
    """The folder of a run's files on the remote."""
    (folder,) = (remote / "runs" / "files" / run.folder.parent).glob(f"{run.folder.name}.*")
    return folder


def test_a_changed_file_is_refused_and_nothing_of_the_run_arrives(here: Site, there: Site, remote: Path) -> None:
    push_all(here)
    run = here.find("search")
    file = copies(remote, run) / "alphas.json"
    file.write_bytes(file.read_bytes()[:-1])
    done = pull_all(there)
    assert len(done.problems) == 1 and "alphas.json: changed since it was published on the remote" in done.problems[0]
    assert not there.folder(run).exists() and done.new == len(here.plan.runs) - 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [("alphas.json", "alphas.json: missing on the remote"), ("manifest.json", "its manifest.json is not the one")],
)
def test_a_file_that_is_gone_is_named(here: Site, there: Site, remote: Path, name: str, problem: str) -> None:
    push_all(here)
    (copies(remote, here.find("search")) / name).unlink()
    done = pull_all(there)
    assert problem in done.problems[0] and done.new == len(here.plan.runs) - 1


def test_a_heavy_file_that_is_gone_is_named_where_it_is_asked_for(here: Site, there: Site, remote: Path) -> None:
    push_all(here)
    run = here.find("search")
    (copies(remote, run) / "supernet.safetensors").unlink()
    assert "supernet.safetensors: missing on the remote" in pull_all(there, str(run.folder), heavy=True).problems[0]
    assert pull_all(there, str(run.folder)).new == 1
    done = pull_all(there, str(run.folder), heavy=True)
    assert "supernet.safetensors: missing or changed" in done.problems[0] and done.completed == 0
    assert is_light(there.folder(run)) and verify(there.root).problems == []


def forge(remote: Path, run: Run, manifest: Any) -> None:
    """Replace the manifest of a run on the remote, with its correct checksum."""
    folder, index, text = copies(remote, run), remote / "runs" / "index", json.dumps(manifest)
    version = sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(text)
    key = f"{run.folder.name}.{version}"
    (index / run.folder.parent / folder.name).rename(index / run.folder.parent / key)
    folder.rename(folder.with_name(key))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda manifest: manifest["files"].update({"../../../escaped.json": "0" * 64}), "not a valid file of a run"),
        (lambda manifest: manifest["files"].update({"/tmp/escaped.json": "0" * 64}), "not a valid file of a run"),
        (lambda manifest: manifest["files"].update({".dvcignore": "0" * 64}), "not a valid file of a run"),
        (lambda manifest: manifest["files"].update({"manifest.json": "0" * 64}), "manifest.json: missing"),
        (lambda manifest: manifest["files"].update({"alphas.json": 1}), "files.alphas.json"),
        (lambda manifest: manifest["run"].update({"stage": "derive"}), "belongs to another run"),
        (lambda manifest: manifest.pop("files"), "its manifest cannot be read"),
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(
    here: Site, there: Site, remote: Path, change: Any, problem: str
) -> None:
    push_all(here)
    run = here.find("search")
    manifest = json.loads((copies(remote, run) / "manifest.json").read_text())
    change(manifest)
    forge(remote, run, manifest)
    done = pull_all(there, str(run.folder))
    assert problem in done.problems[0] and done.new == 0 and there.files() == {}
    assert not list(there.root.parent.rglob("escaped.json"))


def test_another_run_under_a_name_is_refused(here: Site, there: Site, remote: Path) -> None:
    """A writer to the remote cannot replace one run by another."""
    push_all(here)
    one, other = here.find("search", "seed0"), here.find("search", "seed1")
    forge(remote, one, json.loads((here.folder(other) / "manifest.json").read_text()))
    problems = pull_all(there, str(one.folder)).problems
    assert "belongs to another run" in problems[0] and there.files() == {}


def recompute(site: Site, *runs: Any) -> None:
    for run in runs:
        shutil.rmtree(site.folder(run), ignore_errors=True)
        publish(run, site.root, git={"commit": "e" * 40, "dirty": False})


def test_another_computation_of_a_run_stays_and_nothing_is_mixed_with_it(here: Site, there: Site) -> None:
    """Two people computed a search; the tables of one must not use the bytes of the other."""
    push_all(here)
    search = here.find("search", "dropnas-seed0")
    recompute(there, *search.inputs, search)
    before = there.files()
    done = pull_all(there)
    derived = here.find("derive", search.name)
    assert any(
        f"{derived.folder}: left out: it was made from another computation of {search.folder.name}" in p
        for p in done.problems
    )
    assert before.items() <= there.files().items()
    assert verify(there.root).problems == []
    assert any("the remote has another computation of this run" in line for line in push_all(there).problems)


def test_a_pulled_input_must_be_the_one_that_a_run_here_read(here: Site, there: Site) -> None:
    search = here.find("search", "dropnas-seed0")
    derived = here.find("derive", search.name)
    push_all(here)
    pull_all(there, *(str(run.folder) for run in search.inputs))
    recompute(there, search, derived)
    shutil.rmtree(there.folder(search))
    problems = pull_all(there).problems
    assert any(f"{search.folder}: left out: a run here was made from another computation" in line for line in problems)


def test_two_computations_that_were_pushed_at_the_same_moment_are_not_mixed(
    here: Site, there: Site, remote: Path, tmp_path: Path
) -> None:
    run = here.find("search")
    push_all(here, str(run.folder))
    (marker,) = (remote / "runs" / "index" / run.folder.parent).iterdir()
    marker.rename(tmp_path / marker.name)  # as if the other push had listed the remote earlier
    recompute(there, *run.inputs, run)
    assert push_all(there, str(run.folder)).sent == 1
    (tmp_path / marker.name).rename(marker)
    assert len(list((remote / "runs" / "files" / run.folder.parent).iterdir())) == 2
    assert "two computations of this run were pushed" in push_all(here, str(run.folder)).problems[0]
    shutil.rmtree(there.folder(run))
    done = pull_all(there, str(run.folder))
    assert done.new == 0 and "two computations of this run were pushed" in done.problems[0]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_files_follow_the_umask(here: Site, there: Site, remote: Path, umask: int, mode: int) -> None:
    """Their modes in the source store have no effect."""
    for file in here.root.rglob("*.safetensors"):
        file.chmod(0o600)
    before = os.umask(umask)
    try:
        assert verb("push", root=here.root).status == 0
        assert verb("pull", "--heavy", root=there.root).status == 0
    finally:
        os.umask(before)
    for top in (remote / "runs", there.root / "runs", there.root / "data"):
        paths = [top, *top.rglob("*")]
        assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {mode}
        assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o777 & ~umask}


def test_what_is_asked_for_and_nowhere_is_counted(here: Site, there: Site, parameters: Path) -> None:
    run = here.find("search")
    push_all(here, str(run.folder))
    asked = wanted([str(parameters)], there.root) or set()
    assert pull_all(there, str(parameters)) == Pulled(1, 0, 0, len(asked) - 1, ())


def test_a_run_that_is_being_computed_is_left_alone(here: Site, there: Site) -> None:
    push_all(here)
    run = here.find("search")
    with lease(Store(there.root).scratch(run.id)):
        assert "being computed here" in pull_all(there, str(run.folder)).problems[0]
    assert not there.folder(run).exists()
    assert pull_all(there, str(run.folder)).new == 1


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


@pytest.mark.parametrize("way", ["push", "pull"])
def test_a_kill_leaves_nothing_half_done(here: Site, there: Site, remote: Path, way: str) -> None:
    """Pulls are killed after more and more files, then repeated; existing runs are complete at any moment."""
    if way == "pull":
        push_all(here)
    site = here if way == "push" else there
    command = [sys.executable, "-c", KILLED, way, str(site.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        for after in (1, 40, 90, 200):
            print(after, file=server.stdin, flush=True)
            assert server.stdout.readline() == "-9\n"
            complete_or_absent(there if way == "pull" else None, remote)
        server.stdin.close()
    done = push_all(here) if way == "push" else pull_all(there, heavy=True)
    assert done.problems == ()
    pull_all(there, heavy=True)
    assert there.files() == here.files()


def complete_or_absent(store: Site | None, remote: Path) -> None:
    index = remote / "runs" / "index"
    for marker in index.glob("*/*/[!.]*"):
        manifest = remote / "runs" / "files" / marker.relative_to(index) / "manifest.json"
        assert sha256(manifest.read_bytes()).hexdigest() == marker.name.rpartition(".")[2]
        for name, checksum in json.loads(manifest.read_text())["files"].items():
            assert sha256(manifest.with_name(name).read_bytes()).hexdigest() == checksum
    if store:
        assert verify(store.root).problems == []


# For each number on its input, it starts a process that is killed after that many files; DVC is imported once.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
way, root = sys.argv[1], Path(sys.argv[2])
calls, after = [0], sys.maxsize

def counted(real):
    def call(*arguments):
        calls[0] += 1
        if calls[0] > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)
    return call

os.replace, shutil.copyfile = counted(os.replace), counted(shutil.copyfile)
import dvc.config, dvc.fs
from dropnas.sharing.pull import pull
from dropnas.sharing.push import push

def silent(line):
    pass

for after in map(int, sys.stdin):
    child, calls[0] = os.fork(), 0
    if not child:
        push(root, None, "", silent) if way == "push" else pull(root, None, "", silent, heavy=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_no_link_is_followed_into_or_out_of_the_store(here: Site, there: Site, tmp_path: Path) -> None:
    push_all(here)
    run = here.find("search")
    (tmp_path / "outside").mkdir()
    there.folder(run).parent.mkdir(parents=True)
    there.folder(run).symlink_to(tmp_path / "outside")
    with pytest.raises(DropnasError, match="is a link where a run should be"):
        pull_all(there, str(run.folder))
    there.folder(run).unlink()
    there.folder(run).parent.rmdir()
    there.folder(run).parent.symlink_to(tmp_path / "outside")
    with pytest.raises(DropnasError, match="is a link where a run should be"):
        pull_all(there, str(run.folder))
    assert os.listdir(tmp_path / "outside") == []
