"""The store: each run is published once, verified by its manifest, and never lost to the workflow."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from dropnas.errors import DropnasError
from dropnas.pipeline.jobs import write_markers
from dropnas.runs import lease as lease_module
from dropnas.runs.files import write_text
from dropnas.runs.lease import holder, lease
from dropnas.runs.store import Store


@pytest.fixture
def published(tmp_path):
    """A store and one published run."""
    store, folder = Store(tmp_path), tmp_path / "runs/search/one-0123456789"
    staged = store.scratch("0123456789") / "staged"
    (staged / "part").mkdir(parents=True)
    (staged / "alphas.json").write_text("[1, 2]")
    (staged / "part/weights.bin").write_bytes(bytes(1000))
    store.publish(staged, folder, {"id": "0123456789", "stage": "search"})
    return store, folder


def test_a_published_run_is_whole(published):
    store, folder = published
    assert store.is_published(folder) and store.damage(folder) == []
    assert json.loads((folder / "run.json").read_text())["id"] == "0123456789"


def test_a_removed_receipt_comes_back_the_same(published):
    store, folder = published
    before = (folder / "run.json").read_bytes()
    (folder / "run.json").unlink()
    assert store.damage(folder) == []
    store.write_receipt(folder)
    assert (folder / "run.json").read_bytes() == before


def test_a_start_writes_the_missing_receipt_of_a_run_whose_job_has_nothing_to_do(published):
    store, folder = published
    (folder / "run.json").unlink()
    job = {"marker": "done/search/one", "runs": ["0123456789"], "result": os.devnull}
    plan = {"runs": [{"id": "0123456789", "folder": str(folder.relative_to(store.root))}], "jobs": [job]}
    write_markers(plan, store.root / "plans/0a1b", store.root)
    assert json.loads((folder / "run.json").read_text())["id"] == "0123456789"
    assert (store.root / "plans/0a1b/done/search/one").is_file()


def test_a_job_with_a_missing_run_has_no_marker(published):
    store, folder = published
    runs = [{"id": "0123456789", "folder": str(folder.relative_to(store.root))}]
    runs.append({"id": "abcdef0123", "folder": "runs/search/two-abcdef0123"})
    marker = store.root / "plans/0a1b/done/search/both"
    marker.parent.mkdir(parents=True)
    marker.touch()  # from a time when both runs existed
    jobs = [{"marker": "done/search/both", "runs": [run["id"] for run in runs], "result": os.devnull}]
    write_markers({"runs": runs, "jobs": jobs}, store.root / "plans/0a1b", store.root)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "alphas.json").write_text("[1, 3]"), "alphas.json: changed"),
        (lambda folder: (folder / "part/weights.bin").unlink(), "weights.bin: missing"),
        (lambda folder: (folder / "extra.txt").write_text(""), "extra.txt: not in the manifest"),
        (lambda folder: (folder / "run.json").write_text("{}"), "run.json: does not belong"),
    ],
)
def test_damage_is_seen_and_named(published, harm, message):
    store, folder = published
    harm(folder)
    assert any(message in line for line in store.damage(folder))
    with pytest.raises(DropnasError, match=message.split(":")[0]):
        store.require_intact(folder)


def test_a_link_in_a_run_is_refused(published):
    store, folder = published
    (folder / "alphas.json").unlink()
    (folder / "alphas.json").symlink_to("/etc/hostname")
    with pytest.raises(DropnasError, match="link"):
        store.damage(folder)


def test_a_published_run_is_never_overwritten(published):
    store, folder = published
    staged = store.scratch("x") / "staged"
    staged.mkdir(parents=True)
    with pytest.raises(DropnasError, match="a finished run is already there"):
        store.publish(staged, folder, {"id": "x"})
    assert (folder / "run.json").is_file()
    assert (folder / "alphas.json").read_text() == "[1, 2]"


def test_a_run_is_published_over_a_folder_without_a_manifest(tmp_path):
    store, folder = Store(tmp_path), tmp_path / "runs/search/two-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("left over")
    staged = store.scratch("1") / "staged"
    staged.mkdir(parents=True)
    store.publish(staged, folder, {"id": "1"})
    assert store.damage(folder) == []


def test_text_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a/b.json"
    write_text(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(target, "new \udcff")
    assert target.read_text() == "old" and os.listdir(target.parent) == ["b.json"]


HOLDER = """
import sys, time
from pathlib import Path
from dropnas.runs.lease import lease
with lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lease of `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_waits_and_takes_over_from_a_dead_one(tmp_path, other_process, monkeypatch):
    monkeypatch.setattr(lease_module, "EXPIRY", float("inf"))  # so that only the death of the process can be noticed
    assert holder(tmp_path).endswith(f":{other_process.pid}")
    other_process.kill()
    other_process.wait()
    with lease(tmp_path, patience=0.05):
        assert holder(tmp_path).endswith(f":{os.getpid()}")
    assert holder(tmp_path) == ""


def test_a_lease_of_a_living_process_is_not_taken(tmp_path, other_process):
    from dropnas.runs.lease import _take

    assert not _take(tmp_path)


FAR = {"host": "elsewhere", "process": 7, "start": "1", "token": "t"}


@pytest.fixture
def clock(monkeypatch):
    """The observer's own clock, which a test advances."""
    now = [1000.0]
    monkeypatch.setattr(lease_module.time, "monotonic", lambda: now[0])

    def turn(seconds: float) -> None:
        now[0] += seconds

    return turn


def leave(scratch, **owner):
    (scratch / "lease.json").write_text(json.dumps({**FAR, **owner}))


@pytest.mark.parametrize("skew", [-86_400, 0, 86_400])
def test_a_holder_on_another_host_is_dead_when_its_lease_stops_changing(tmp_path, clock, skew):
    """Whatever the error of the clock that sets the file times."""
    leave(tmp_path)
    for beat in range(20):
        os.utime(tmp_path / "lease.json", (time.time() + skew + beat,) * 2)
        assert holder(tmp_path) == "elsewhere:7"
        clock(lease_module.EXPIRY - 1)
    clock(2)
    assert holder(tmp_path) == ""


def test_a_holder_on_another_machine_of_the_same_name_is_not_looked_up(tmp_path, clock):
    """Two containers may share a name, and process numbers of one mean nothing in the other."""
    leave(tmp_path, host=socket.gethostname(), boot="another", processes="pid:[1]")
    assert holder(tmp_path)
    clock(lease_module.EXPIRY)
    assert not holder(tmp_path)


def test_a_job_that_was_started_again_takes_over_from_its_earlier_attempt(tmp_path, monkeypatch):
    leave(tmp_path, job="12", attempt="0")
    monkeypatch.setenv("SLURM_JOB_ID", "13")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert holder(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert not holder(tmp_path)


RIVAL = """
import sys, time
from pathlib import Path
from dropnas.runs import lease as module
module.RENEWAL, module.EXPIRY, module.FENCE = 0.05, 0.5, 0.25
with module.lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def rival(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", RIVAL, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_suspended_holder_whose_lease_was_taken_ends_at_once(tmp_path, rival):
    os.kill(rival.pid, signal.SIGSTOP)
    leave(tmp_path)  # another host took over
    os.kill(rival.pid, signal.SIGCONT)
    assert rival.wait(600) == lease_module.LOST
    assert "took over this run" in rival.stderr.read()
    assert json.loads((tmp_path / "lease.json").read_text()) == FAR


def test_a_holder_that_cannot_renew_ends_before_others_take_over(tmp_path, rival):
    (tmp_path / "lease.json").unlink()
    assert rival.wait(600) == lease_module.LOST
    assert "could not be renewed" in rival.stderr.read()


def test_a_living_holder_keeps_its_lease_and_releases_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEWAL", 0.01)
    with lease(tmp_path):
        before = (tmp_path / "lease.json").stat().st_mtime_ns
        while (tmp_path / "lease.json").stat().st_mtime_ns == before:
            time.sleep(0.01)  # the lease is renewed, however busy the machine is
        monkeypatch.setattr(lease_module, "RENEWAL", 60)
        time.sleep(0.05)
        leave(tmp_path)
    assert json.loads((tmp_path / "lease.json").read_text()) == FAR


def test_a_scratch_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "scratch").symlink_to(tmp_path / "outside")
    with pytest.raises(DropnasError, match="is a link"), lease(tmp_path / "scratch"):
        pass
    assert os.listdir(tmp_path / "outside") == []


def test_a_run_that_is_a_link_is_refused(published, tmp_path):
    store, folder = published
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DropnasError, match="is a link"):
        store.is_published(folder)
