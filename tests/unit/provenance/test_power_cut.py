"""What a power cut finds: no power is cut here, so the order of calls to the system is what is tested."""

import os
from pathlib import Path

from dropnas.provenance.store import Store


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
