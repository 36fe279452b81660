"""Checkpoints: the complete state of a training. A killed run resumes and ends like one that was not interrupted.

Design choices: a file consists of one header line (format, sha256 of the rest, identity of the run) and the bytes of
`torch.save`. It is written under a temporary name, flushed to disk, and renamed. The last two checkpoints that are
known to be intact are kept. A damaged checkpoint therefore costs the work of one interval, not the run, and never
replaces a good one. Only tensors and plain values are unpickled (`weights_only`), and only after the checksum matches.

Runs that train as one group are saved separately. If a job is killed between two of these saves, the runs that were
already saved go back by one checkpoint, but no further. The start of a run counts as a checkpoint without a state.
"""

import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from dropnas.errors import DropnasError

FORMAT = "dropnas-checkpoint-2"
OLDER_FORMATS = (b"dropnas-checkpoint-1",)
KEPT_CHECKPOINTS = 2
CHECKPOINT_NAME = re.compile(r"checkpoint-([0-9]+)\.pt")
LONGEST_HEADER = 1000  # in bytes; headers usually have about 200
CheckpointState = dict[str, Any]


def newest(folder: Path) -> int:
    """Return the highest checkpoint number in a folder, whether intact or not; 0 if there is none."""
    return max(_numbered(folder), default=0)


class Checkpoints:
    """The checkpoints of one run, in its scratch folder; `progress` receives a line for each unusable checkpoint."""

    def __init__(self, folder: Path, identity: str, progress: Callable[[str], None]) -> None:
        self.folder, self.identity, self.progress = folder, identity, progress
        self.intact: list[Path] = []  # checkpoints that were read or written here, in order

    def states(self) -> Iterator[CheckpointState | None]:
        """Yield the states from which the run can continue, the newest first; None is the start of the run.

        A checkpoint that is damaged or belongs to another run is skipped and reported in one line. The last state that
        the caller takes is the one from which the run continues. The next `save` removes all newer checkpoints.
        """
        found = _numbered(self.folder)
        first = 0  # lowest number of an intact checkpoint; 0 if there is none
        for number in sorted(found, reverse=True):
            try:
                state = _read(found[number], self.identity)
            except (ValueError, OSError) as error:
                reason = (error.strerror or error) if isinstance(error, OSError) else error
                self.progress(f"{found[number]}: {reason}; this checkpoint is skipped")
            else:
                self.intact, first = [found[number]], number
                yield state
        if first <= 1:
            self.intact = []
            yield None

    def save(self, state: CheckpointState) -> None:
        """Write a checkpoint of tensors and plain values, and remove all but the last two intact ones.

        Raises:
            OSError: the disk is full or the folder cannot be written; no half-written file remains.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
        path = self.folder / f"checkpoint-{newest(self.folder) + 1:08d}.pt"
        _write(path, f"{FORMAT} {digest} {self.identity}\n".encode(), buffer.getbuffer())
        self.intact = [*self.intact, path][-KEPT_CHECKPOINTS:]
        for old in _numbered(self.folder).values():
            if old not in self.intact:
                _remove(old)


def _numbered(folder: Path) -> dict[int, Path]:
    names = ((CHECKPOINT_NAME.fullmatch(path.name), path) for path in folder.glob("checkpoint-*.pt"))
    return {int(match[1]): path for match, path in names if match}


def _write(path: Path, header: bytes, payload: memoryview) -> None:
    partial = path.with_name("checkpoint.partial")
    _remove(partial)  # left by a killed process; it could be a link, so it is not overwritten
    try:
        with partial.open("xb") as file:
            file.write(header)
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # if the disk is full, the error does not name the file
        raise
    finally:
        partial.unlink(missing_ok=True)
    _flush_folder(path.parent)
    _flush_folder(path.parent.parent)  # the folder itself may be new


def _remove(path: Path) -> None:
    """Remove a file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, identity: str) -> CheckpointState:
    """Read a checkpoint.

    Raises:
        ValueError: the checkpoint is damaged or belongs to another run.
        DropnasError: the checkpoint was written by an older version.
    """
    if path.is_symlink() or not path.is_file():
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        words = file.readline(LONGEST_HEADER).removesuffix(b"\n").split(b" ")
        if words[0] in OLDER_FORMATS:
            raise DropnasError(
                "this checkpoint was written by an older version",
                where=path,
                remedy=f"finish the run with that version, or remove {path.parent} to start again",
            )
        if len(words) != 3 or words[0] != FORMAT.encode():
            raise ValueError("not a checkpoint of this version")
        if words[2] != identity.encode():
            raise ValueError(f"belongs to another run ({ascii(words[2])[2:-1]})")
        payload = file.read()
    if hashlib.sha256(payload).hexdigest().encode() != words[1]:
        raise ValueError("damaged: its checksum does not match")
    return _unpickled(payload)


def _unpickled(payload: bytes) -> CheckpointState:
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # given foreign data, the unpickler may raise any error
        raise ValueError("contains something other than tensors and plain values") from error
    if not isinstance(state, dict):
        raise ValueError("does not hold the state of a training")
    return state


Position = tuple[int, int, str]


def position(state: CheckpointState | None) -> Position:
    """Return the epoch, its number of finished steps, and the device; runs at equal positions can form a group."""
    return (state["epoch"], state["step"], state["made_on"]) if state else (0, 0, "")


def common_checkpoint(checkpoints: Sequence[Checkpoints]) -> dict[int, CheckpointState | None]:
    """Find the runs that can continue together from a common position.

    This is the earliest position among the runs' newest checkpoints. A run can continue there if its newest or second
    newest checkpoint is at this position.

    Returns:
        the states of the runs that can continue, by the index of the run; the state is None for a run at its start.
    """
    histories = [own.states() for own in checkpoints]
    newest = [next(states) for states in histories]
    earliest = min(map(position, newest))
    found: dict[int, CheckpointState | None] = {}
    for index, (state, earlier) in enumerate(zip(newest, histories, strict=True)):
        if position(state) == earliest:
            found[index] = state
        else:
            found.update((index, one) for one in islice(earlier, 1) if position(one) == earliest)
    return found
