"""Checkpoints: written completely, the last two kept, and never read if they are damaged, foreign or contain code."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropnas.training.checkpoint import FORMAT, Checkpoints

STATE = {"weights": torch.arange(50.0), "rows": [{"epoch": 1}]}


def saved(folder: Path, *numbers: int, identity: str = "abc") -> Checkpoints:
    """The checkpoints of a run, with states that have these numbers."""
    made = Checkpoints(folder, identity, print)
    for number in numbers:
        made.save({**STATE, "number": number})
    return made


def loaded(folder: Path) -> tuple[int | None, list[str]]:
    """The number of the found state, and the reported lines."""
    lines: list[str] = []
    state = next(Checkpoints(folder, "abc", lines.append).states())
    return state["number"] if state else None, lines


def sealed(payload: bytes, identity: str = "abc") -> bytes:
    """A checkpoint with any payload and a correct checksum."""
    return f"{FORMAT} {hashlib.sha256(payload).hexdigest()} {identity}\n".encode() + payload


def pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 0, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000003.pt", "checkpoint-00000004.pt"]
    assert loaded(tmp_path) == (3, [])


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda content: content[:-1], "checksum"),
        (lambda content: content[:200], "checksum"),
        (lambda content: content[: content.index(b"\n") + 1], "checksum"),
        (lambda content: content[: content.index(b"\n")], "checksum"),
        (lambda content: content[: content.index(b"\n") - 1], "another run"),
        (lambda content: content[:10], "not a checkpoint"),
        (lambda content: b"", "not a checkpoint"),
        (lambda content: bytes(len(content)), "not a checkpoint"),
        (lambda content: content + b"\0", "checksum"),
        (lambda content: os.urandom(200), "not a checkpoint"),
        (lambda content: content.replace(b" abc\n", b" other\n", 1), "another run"),
        (lambda content: content.replace(b" abc\n", b" a\x1b[2Jb\n", 1), r"another run (a\x1b[2Jb)"),
        (lambda content: sealed(b""), "something other than tensors"),
        (lambda content: sealed(b"PK\3\4" + bytes(100)), "something other than tensors"),
        (lambda content: sealed(pickled([1, 2])), "does not hold the state"),
    ],
)
def test_damaged_and_foreign_checkpoints_are_skipped(
    tmp_path: Path, damage: Callable[[bytes], bytes], word: str
) -> None:
    saved(tmp_path, 1, 2)
    newest = tmp_path / "checkpoint-00000002.pt"
    newest.write_bytes(damage(newest.read_bytes()))
    number, lines = loaded(tmp_path)
    assert number == 1 and len(lines) == 1
    assert lines[0].startswith(f"{newest}: ") and word in lines[0] and lines[0].isprintable()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_flipped_bit_goes_unseen(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "run"
    if not folder.exists():
        saved(folder, 1, 2)
    newest = folder / "checkpoint-00000002.pt"
    content = newest.read_bytes()
    place = data.draw(st.integers(0, 8 * len(content) - 1) | st.integers(0, 8 * 100))
    flipped = bytearray(content)
    flipped[place // 8] ^= 1 << place % 8
    try:
        newest.write_bytes(flipped)
        number, lines = loaded(folder)
    finally:
        newest.write_bytes(content)
    assert number == 1 and len(lines) == 1 and lines[0].isprintable()


@pytest.mark.parametrize(
    "stand",
    [
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path.with_name("checkpoint-00000001.pt")),
        lambda path: os.mkfifo(path),
    ],
    ids=["folder", "dangling link", "link", "pipe"],
)
@pytest.mark.parametrize("name", ["checkpoint-00000003.pt", "checkpoint.partial"])
def test_a_checkpoint_that_is_no_file_is_skipped_and_removed(
    tmp_path: Path, stand: Callable[[Path], None], name: str
) -> None:
    saved(tmp_path, 1, 2)
    stand(tmp_path / name)
    made, lines = Checkpoints(tmp_path, "abc", (message := []).append), message
    state = next(made.states())
    assert state is not None and state["number"] == 2
    assert [f"{tmp_path / name}: not a regular file" in line for line in lines] == [True] * (name[-2:] == "pt")
    made.save({"number": 3})
    assert loaded(tmp_path) == (3, []) and len(list(tmp_path.iterdir())) == 2
    assert not (tmp_path / "nowhere").exists()


def test_an_unreadable_checkpoint_is_skipped(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can read every file")
    saved(tmp_path, 1, 2)
    (tmp_path / "checkpoint-00000002.pt").chmod(0)
    number, lines = loaded(tmp_path)
    assert number == 1 and "Permission denied" in lines[0]


def test_a_damaged_checkpoint_replaces_no_good_one(tmp_path: Path) -> None:
    """The second checkpoint is damaged and the third is written; the first must remain in case the third is lost."""
    saved(tmp_path, 1, 2)
    (tmp_path / "checkpoint-00000002.pt").write_bytes(b"")
    made = Checkpoints(tmp_path, "abc", lambda line: None)
    next(made.states())
    made.save({"number": 3})
    (tmp_path / "checkpoint-00000003.pt").write_bytes(b"")
    assert loaded(tmp_path)[0] == 1


@pytest.mark.parametrize("name", ["checkpoint-99999999.pt", "checkpoint-abcdefgh.pt", "checkpoint-.pt"])
def test_odd_file_names_stop_nothing(tmp_path: Path, name: str) -> None:
    saved(tmp_path, 1)
    (tmp_path / name).write_bytes(b"no checkpoint")
    made = Checkpoints(tmp_path, "abc", lambda line: None)
    next(made.states())
    made.save({"number": 2})
    made.save({"number": 3})
    assert loaded(tmp_path) == (3, [])


def test_it_holds_no_code(tmp_path: Path) -> None:
    """An object that would run code when it is unpickled is rejected, although its checksum is correct."""
    saved(tmp_path, 1, 2)
    (tmp_path / "checkpoint-00000002.pt").write_bytes(sealed(pickled({"evil": Evil(tmp_path / "evil")})))
    number, lines = loaded(tmp_path)
    assert number == 1 and "something other than tensors" in lines[0] and not (tmp_path / "evil").exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = saved(tmp_path, 1)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        made.save({"number": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001.pt"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked by the order of system calls: the file is flushed, then renamed, then the folder is flushed."""
    calls: list[str] = []
    real_flush, real_replace = os.fsync, Path.replace

    def flush(descriptor: int) -> None:
        calls.append(f"flush {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        real_flush(descriptor)

    def replace(path: Path, target: Path) -> Path:
        calls.append(f"rename {path.name} {target.name}")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", replace)
    saved(tmp_path / "run", 1)
    assert calls[:3] == ["flush checkpoint.partial", "rename checkpoint.partial checkpoint-00000001.pt", "flush run"]
    assert calls[3] == f"flush {tmp_path.name}"
