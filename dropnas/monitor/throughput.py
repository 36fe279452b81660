"""What the probe measured: `scratch/throughput.json`, an entry for each device and kind of work.

Design choices: entries are kept by device, so that a root that several machines share holds one set for each model. An
entry says when and with which versions it was measured, and at which batch; measuring again replaces it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dropnas.errors import DropnasError
from dropnas.monitor.finished import Device
from dropnas.monitor.work import Kind
from dropnas.runs.files import read_json, write_json
from dropnas.runs.identity import canonical_json

FILE = Path("scratch", "throughput.json")


@dataclass(frozen=True)
class Measured:
    """One result of the probe.

    Attributes:
        device: that it was measured on.
        kind: `Kind.content`.
        epoch_seconds: what an epoch takes, evaluation included.
        batch: images of the batches that were timed; smaller than the protocol's where that did not fit into the time.
        images_per_second: in training.
        date: in UTC.
        versions: of the packages.
    """

    device: Device
    kind: dict[str, Any]
    epoch_seconds: float
    batch: int
    images_per_second: float
    date: str
    versions: dict[str, str]

    def is_of(self, kind: Kind) -> bool:
        """Whether it is of this kind of work."""
        return canonical_json(self.kind) == canonical_json(kind.content)


def read_measured(root: Path) -> list[Measured]:
    """What was measured so far, the oldest first; nothing where no probe ran.

    Raises:
        DropnasError: the file is damaged.
    """
    path = root / FILE
    if not path.is_file():
        return []
    content = read_json(path)
    try:
        found = [Measured(**{**entry, "device": Device(**entry["device"])}) for entry in content["measured"]]
        if not all(entry.epoch_seconds > 0 for entry in found):
            raise ValueError("an epoch takes no time")
        return sorted(found, key=lambda entry: entry.date)
    except (KeyError, TypeError, ValueError) as error:
        remedy = "remove it, then plan --measure"
        raise DropnasError(f"is no record of a probe ({error})", where=path, remedy=remedy) from error


def add_measured(root: Path, new: list[Measured]) -> None:
    """Keep new results, in the place of older ones of the same device and kind."""
    replaced = {_place(entry) for entry in new}
    kept = [entry for entry in read_measured(root) if _place(entry) not in replaced]
    write_json(root / FILE, {"measured": [asdict(entry) for entry in (*kept, *new)]})


def _place(entry: Measured) -> tuple[Device, str]:
    return entry.device, canonical_json(entry.kind)
