"""After a refactoring, trainings move to their new identities if, and only if, a trial shows equal bytes."""

import json
import shutil
import subprocess
import sys
from typing import Any

from tests.workflow.conftest import Bench

DROPOUT = "dropnas/search/dropout.py"
STEM = "dropnas/evaluate/cifar_network.py"


def adopt(bench: Bench) -> subprocess.CompletedProcess[str]:
    return bench.call([sys.executable, "-m", "dropnas", "adopt", str(bench.parameters), "--root", str(bench.store)])


def edit(bench: Bench, file: str, old: str, new: str) -> None:
    path = bench.checkout / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def manifests(bench: Bench) -> dict[str, Any]:
    files = bench.store.glob("runs/*/*/manifest.json")
    return {f"{file.parts[-3]}/{file.parts[-2]}": json.loads(file.read_text()) for file in files}


def test_a_comment_needs_no_adoption(bench):
    edit(bench, DROPOUT, "KINDS_OF_CELLS = 2", "# A remark.\nKINDS_OF_CELLS = 2")
    done = adopt(bench)
    assert done.returncode == 0 and "0 runs adopted, 0 computed, 0 refusals" in done.stdout


def test_after_a_refactoring_of_the_search_nothing_is_to_do(bench, built):
    """The code changes and the numbers do not: a trial adopts the searches, and the runs that depend on them follow.

    The frozen starts are gone, so the old code comes from the commit that the runs' manifests name.
    """
    shutil.copytree(built.checkout / ".git", bench.checkout / ".git")
    bench.remove("plans")
    before = manifests(bench)
    edit(bench, DROPOUT, "rate ** (1 / size)", "pow(rate, 1 / size)")
    assert bench.would_run() >= {"search", "retrain", "transfer"}
    done = adopt(bench)
    assert done.returncode == 0, done.stderr
    assert bench.would_run() == set()
    after = manifests(bench)
    assert before.items() <= after.items()
    adopted = {name: one["run"] for name, one in after.items() if "adopted" in one["run"]}
    assert {name.split("/")[0] for name in adopted} == {"search", "retrain", "transfer", "clusters"}
    for name, record in adopted.items():
        source = before[f"{name.split('/')[0]}/{record['adopted']['from']}"]
        assert after[name]["files"] == source["files"]
        changed = source["run"]["identity"]["code"] != record["identity"]["code"]
        assert record["adopted"]["trial"].startswith("equal bytes" if changed else "none")
    verified = bench.call([sys.executable, "-m", "dropnas", "verify", "--root", str(bench.store)])
    assert verified.returncode == 0, verified.stderr


def test_a_changed_number_is_refused_in_one_line(bench):
    before = manifests(bench)
    edit(bench, STEM, "nn.BatchNorm2d(width)", "nn.BatchNorm2d(width, momentum=0.2)")
    done = adopt(bench)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("retrain: ")]
    assert len(lines) == 1 and "the new code gives other results" in lines[0] and "network.safetensors" in lines[0]
    new = manifests(bench).keys() - before.keys()
    assert not any(name.startswith(("retrain/", "transfer/")) for name in new)
    assert "retrain" in bench.would_run()
