"""The working conditions of a stage, apart from its configuration and inputs: folders, device, limits and callbacks.

Nothing here may change a result, so it is not part of a run's identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def silent(message: str) -> None:
    """Ignore a progress message."""


def unseen() -> None:
    """Do nothing when a run is asked to stop."""


@dataclass(frozen=True)
class Workspace:
    """The place and the means of one run.

    Attributes:
        scratch: folder of the run's resume state (checkpoints); removed once the run is published.
        identity: the run's identity; a checkpoint that carries another one is foreign.
        device: torch device string, already resolved ("cpu", "cuda:0").
        threads: CPU threads of one process; fixed, because it changes the rounding of sums.
        workers: processes that decode images for ImageNet.
        location: path of a dataset's source, if it is local.
        seeds_at_once: largest number of searches in one group; 0 means as many as fit into memory.
        memory_mb: main memory that the job may use, in MB.
        checkpoint_seconds: seconds between two checkpoints; a killed run loses at most this time.
        progress: called with a plain line from time to time.
        stopping: called when the run is asked to stop, before it saves its state.
    """

    scratch: Path
    identity: str
    device: str = "cpu"
    threads: int = 1
    workers: int = 0
    location: str = ""
    seeds_at_once: int = 0
    memory_mb: int = 16000
    checkpoint_seconds: float = 300.0
    progress: Callable[[str], None] = silent
    stopping: Callable[[], None] = unseen
