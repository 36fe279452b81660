"""The store: published once, proved by its manifest, never lost to the workflow."""

import json
import os
import subprocess
import sys
import time

import pytest

from dropnas.errors import DropnasError
from dropnas.provenance.files import write_text
from dropnas.provenance.lease import holder, lease
from dropnas.provenance.store import Store


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


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: (folder / "alphas.json").write_text("[1, 3]"), "alphas.json: changed"),
        (lambda folder: (folder / "part/weights.bin").unlink(), "weights.bin: missing"),
        (lambda folder: (folder / "extra.txt").write_text(""), "extra.txt: not in the manifest"),
        (lambda folder: (folder / "run.json").write_text("{}"), "run.json: does not belong"),
    ],
)
def test_damage_is_seen_and_named(published, harm, told):
    store, folder = published
    harm(folder)
    assert any(told in line for line in store.damage(folder))
    with pytest.raises(DropnasError, match=told.split(":")[0]):
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
    with pytest.raises(DropnasError, match="stands in the place"):
        store.publish(staged, folder, {"id": "x"})
    assert (folder / "alphas.json").read_text() == "[1, 2]"


def test_an_empty_folder_that_the_workflow_made_is_no_hindrance(tmp_path):
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
from dropnas.provenance.lease import lease
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


def test_a_second_process_waits_and_takes_over_from_a_dead_one(tmp_path, other_process):
    assert holder(tmp_path).endswith(f":{other_process.pid}")
    started = time.monotonic()
    other_process.kill()
    other_process.wait()
    with lease(tmp_path, patience=0.05):
        assert holder(tmp_path).endswith(f":{os.getpid()}")
    assert time.monotonic() - started < 5 and holder(tmp_path) == ""


def test_a_lease_of_a_living_process_is_not_taken(tmp_path, other_process):
    from dropnas.provenance.lease import _take

    assert not _take(tmp_path)


@pytest.mark.parametrize(("age", "alive"), [(10, True), (1000, False)])
def test_another_host_is_judged_by_its_signs_of_life(tmp_path, age, alive):
    path = tmp_path / "lease.json"
    path.write_text(json.dumps({"host": "elsewhere", "process": 7, "start": "1"}))
    os.utime(path, (time.time() - age,) * 2)
    assert bool(holder(tmp_path)) == alive
