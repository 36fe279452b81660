"""Checkpoints: the whole state of a training, so that a killed one ends as if it had not been.

Design: a file is one header line (format, sha256 of the rest, identity of the run) and the bytes of `torch.save`. It
is written beside, flushed to the disk, and renamed; the last two are kept, so that a damaged one costs one interval,
not the run. Nothing is unpickled but tensors and plain values (`weights_only`), and only after the checksum agreed.
"""

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

FORMAT = "dropnas-checkpoint-1"
KEPT = 2
State = dict[str, Any]


def save(folder: Path, identity: str, state: State) -> None:
    """Write a checkpoint with the next number and drop all but the last two.

    Args:
        folder: the run's scratch folder; made where it is missing.
        identity: the run's identity, without blanks.
        state: tensors and plain values (numbers, strings, lists, dicts).

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing half-written stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _checkpoints(folder)
    number = int(found[-1].stem.split("-")[1]) + 1 if found else 1
    buffer = io.BytesIO()
    torch.save(state, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    _write(folder / f"checkpoint-{number:08d}.pt", f"{FORMAT} {digest} {identity}\n".encode(), buffer.getbuffer())
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def load(folder: Path, identity: str, progress: Callable[[str], None]) -> State | None:
    """The state of the newest intact checkpoint of this run, on the CPU; None where there is none.

    Each damaged or foreign one that is newer is named in one line through `progress`, and left out.
    """
    for path in reversed(_checkpoints(folder)):
        try:
            return _read(path, identity)
        except (ValueError, OSError) as error:
            progress(f"{path}: {error}; this checkpoint is left out")
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-????????.pt"))


def _write(path: Path, header: bytes, payload: memoryview) -> None:
    partial = path.with_name("checkpoint.partial")
    try:
        with partial.open("wb") as file:
            file.write(header)
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, identity: str) -> State:
    """Raises ValueError for what is damaged or foreign."""
    header, _, payload = path.read_bytes().partition(b"\n")
    words = header.decode("ascii", "replace").split(" ")
    if len(words) != 3 or words[0] != FORMAT:
        raise ValueError("not a checkpoint of this version")
    if words[2] != identity:
        raise ValueError(f"belongs to another run ({words[2]})")
    if hashlib.sha256(payload).hexdigest() != words[1]:
        raise ValueError("damaged, its checksum does not agree")
    try:
        state: State = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError("holds more than tensors and plain values") from error
    return state
