"""What a stage needs besides its configuration and inputs. A workspace is not part of a run's identity."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]  # called with a line of progress


def silent(message: str) -> None:
    """Ignore a progress message."""


def ignore_stop() -> None:
    """Ignore the request to stop a run."""


@dataclass(frozen=True)
class Workspace:
    """The folders, device, limits and callbacks of one run."""

    scratch: Path  # folder of the run's resume state (checkpoints); removed once the run is published
    identity: str  # the run's identity; checkpoints of another identity are rejected
    device: str = "cpu"  # torch device string, already resolved ("cpu", "cuda:0")
    threads: int = 1  # CPU threads of one process; fixed, because it changes the rounding of sums
    workers: int = 0  # processes that decode images for ImageNet
    location: str = ""  # path of the dataset's source; if empty, the configuration's `path` is used
    seeds_at_once: int = 0  # maximum number of searches in one group; 0 means as many as fit into memory
    memory_mb: int = 16000  # main memory that the job may use, in MB
    checkpoint_seconds: float = 300.0  # seconds between two checkpoints; a killed run loses at most this time
    progress: Progress = silent
    stopping: Callable[[], None] = ignore_stop  # called when the run is asked to stop, before it saves its state
