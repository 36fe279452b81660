"""Two users of one group share a store, with any umask: each computes, verifies, and reads all runs.

Each verb runs in a fork of this process that has given up root's rights, because other users may not be able to read
root's Python. The imports of the verbs are therefore done here first.
"""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.bench import Bench
from tests.in_process import Ended, verb

GROUP, USERS = 54321, (54322, 54323)
FORK = multiprocessing.get_context("fork")


def give(path: Path, user: int) -> None:
    """Give a tree of files to a user and to the common group."""
    for one in (path, *path.rglob("*")):
        os.chown(one, user, GROUP, follow_symlinks=False)
        one.chmod(0o2775 if one.is_dir() else 0o664)


def call(user: int, umask: int, root: Path, *arguments: str) -> Ended:
    """Run a verb as a user of the group."""
    receiving, sending = FORK.Pipe(duplex=False)

    def work() -> None:
        os.setgroups([])
        os.setresgid(GROUP, GROUP, GROUP)
        os.setresuid(user, user, user)
        os.umask(umask)
        os.chdir(root)
        sending.send(verb(*arguments, root=root))

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert receiving.poll(), "the verb ended its process"
    ended: Ended = receiving.recv()
    return ended


@pytest.fixture
def shared(bench: Bench) -> Iterator[Path]:
    """A store that the group may write, made by the first user, in a folder that everyone may enter."""
    if os.geteuid():
        pytest.skip("only root can become other users")
    bench.take_out(bench.of_stage("table"))
    assert bench.compute(*bench.of_stage("table")).status == 0  # its dependencies are now imported
    bench.restore()
    assert verb("verify", root=bench.root).status == 0
    with tempfile.TemporaryDirectory(prefix="dropnas-shared-") as folder:  # other users cannot enter pytest's folders
        Path(folder).chmod(0o755)
        shutil.copytree(bench.root, Path(folder, "store"))
        give(Path(folder, "store"), USERS[0])
        yield Path(folder, "store")


@pytest.mark.parametrize("umask", [0o002, 0o022], ids=oct)
def test_each_goes_on_with_what_the_other_began(bench: Bench, shared: Path, umask: int) -> None:
    runs = bench.of_stage("table")
    for run in runs:
        shutil.rmtree(shared / run.folder)
    for number, run in enumerate(runs):
        done = call(USERS[number % 2], umask, shared, "tables", f"specs/{run.id}.json")
        assert done.status == 0, done.err
        again = call(USERS[1 - number % 2], umask, shared, "tables", f"specs/{run.id}.json")
        assert again.status == 0 and "finished before" in again.out, again.err
    for user in USERS:
        done = call(user, umask, shared, "verify")
        assert done.status == 0 and "0 problems" in done.out, done.err
    modes = {path.stat().st_mode & 0o660 for run in runs for path in (shared / run.folder).iterdir()}
    assert modes == {0o660}
    assert all(path.stat().st_mode & 0o2070 == 0o2070 for path in shared.glob("scratch"))


def test_a_published_file_has_the_mode_of_a_new_one(tmp_path: Path) -> None:
    """Some libraries write files that no other user may read."""
    from dropnas.runs.store import Store

    staged = tmp_path / "scratch" / "staged"
    staged.mkdir(parents=True)
    (staged / "network.safetensors").touch(mode=0o600)
    Store(tmp_path).publish(staged, tmp_path / "runs" / "retrain" / "a-0123456789", {"id": "0123456789"})
    mask = os.umask(0)
    os.umask(mask)
    file = tmp_path / "runs" / "retrain" / "a-0123456789" / "network.safetensors"
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask
