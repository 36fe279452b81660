"""The state after a power cut or a kill, tested by the order of system calls."""

import multiprocessing
import os
import shutil
import signal
from itertools import count
from pathlib import Path

import pytest

from dropnas.runs.store import Store


def test_every_file_of_a_run_is_on_the_disk_before_the_run_has_its_name(tmp_path, monkeypatch):
    store, folder = Store(tmp_path), tmp_path / "runs/search/one-0123456789"
    staged = store.scratch("0123456789") / "staged"
    (staged / "part").mkdir(parents=True)
    (staged / "alphas.json").write_text("[1, 2]")
    (staged / "part/weights.bin").write_bytes(bytes(1000))
    calls, real_flush, real_replace = [], os.fsync, os.replace

    def flush(descriptor):
        calls.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real_flush(descriptor)

    def replace(source, target):
        calls.append(f"rename {Path(target).name}")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", replace)
    store.publish(staged, folder, {"id": "0123456789"})
    renamed = calls.index("rename one-0123456789")
    assert {"alphas.json", "weights.bin", "part", "manifest.json", "staged"} <= set(calls[:renamed])
    assert calls[renamed + 1 : renamed + 3] == ["search", "runs"]


@pytest.mark.parametrize("removed", [(), ("run.json",)], ids=["published", "receipt written again"])
def test_killed_at_any_call_to_the_system_a_run_is_whole_or_not_there(tmp_path, removed):
    for calls in count():
        store = Store(tmp_path / str(calls))
        folder = store.root / "runs/search/one-0123456789"
        if removed:
            published(store, folder)
        for name in removed:
            (folder / name).unlink()
        process = multiprocessing.get_context("fork").Process(target=killed_after, args=(calls, store, folder))
        process.start()
        process.join()
        if store.is_published(folder):
            store.require_intact(folder)
            assert removed or (folder / "run.json").is_file()  # tables read it, and no job checks the run again
        published(store, folder)
        assert store.damage(folder) == [] and (folder / "run.json").is_file()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert calls > 2  # it was killed at least once


def published(store, folder):
    """The run exists and has its receipt, as after the end of a job."""
    if not store.is_published(folder):
        staged = store.scratch("0123456789") / "staged"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        (staged / "alphas.json").write_text("[1, 2]")
        store.publish(staged, folder, {"id": "0123456789"})
    store.write_receipt(folder)


def killed_after(calls, store, folder):
    """Work until some number of files were flushed or renamed."""
    made = count()

    def watched(call):
        def work(*args):
            if next(made) == calls:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args)

        return work

    os.fsync, os.replace = watched(os.fsync), watched(os.replace)
    published(store, folder)
