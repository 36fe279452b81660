"""What a stage is given beside its configuration and its inputs: where and on what it may work.

Nothing in here may change a result; that is why it is no part of a run's identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def silent(message: str) -> None:
    """Report progress to nobody."""


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
        location: where a dataset's source lies, if it is a local one.
        seeds_at_once: how many searches may train together; 0 as many as memory holds.
        memory_mb: of main memory, that the job may use.
        checkpoint_seconds: between two checkpoints: what a killed run loses at most.
        progress: called with one plain line now and then.
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
