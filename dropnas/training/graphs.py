"""The programs of a training, each recorded once and then replayed with a single launch: CUDA graphs.

Design choices: a program takes and returns nothing. It reads and writes tensors that stay at their addresses, so a
checkpoint is copied into these tensors and never put in their place. All programs that an epoch needs (the smaller last
batch has one of its own) are prepared before the first step: each is precompiled and warmed up, and whatever that
changed is restored after each run, since a step that runs too often would run past the data of its epoch. Then they are
recorded, in one memory pool: a warm-up takes memory of its own, which a finished recording would leave no room for.
The order of these events is the same on every device. What differs is the recorder: `CudaRecorder` on a GPU,
`dropnas.training.rehearsal` on a CPU, with which tests go
through the same events and find what a recording would freeze.
"""

import gc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.extension import blamed

WARM_UPS = 3  # runs in which libraries make what they make at first use; as torch advises
Program = Callable[[], None]
Prepare = Callable[[Program], object]


class Recorder(Protocol):
    """Records programs on one kind of device."""

    def warming_up(self) -> Any:
        """The context in which programs run before they are recorded."""

    def record(self, program: Program) -> Program:
        """Record a program without running it; gives what replays it."""


class GraphedPrograms:
    """Programs of one training; each is replayed from its first call on where there is a recorder.

    Args:
        programs: by a key. They run one at a time and on one device, without a read-back and a copy from the host.
        changed: all tensors that a program changes and whose values outlast it.
        recorder: None runs programs as they are.
        precompile: is given each program before it first runs; whatever it changes is restored.
    """

    def __init__(
        self,
        programs: Mapping[Hashable, Program],
        changed: Sequence[Tensor],
        recorder: Recorder | None,
        precompile: Prepare | None = None,
    ) -> None:
        self.programs, self.changed, self.recorder, self.precompile = programs, changed, recorder, precompile
        self.replays: dict[Hashable, Program] = {}

    def run(self, key: Hashable) -> None:
        """Run one program once; prepares all of them first."""
        self.prepare()
        (self.programs if self.recorder is None else self.replays)[key]()

    def prepare(self) -> None:
        """Record all programs, if that is still to be done. Each must be able to run on the tensors as they are now."""
        if self.recorder is not None and not self.replays:
            self._warm_up(self.recorder)
            self.replays = {key: self.recorder.record(program) for key, program in self.programs.items()}

    def _warm_up(self, recorder: Recorder) -> None:
        saved = [tensor.detach().clone() for tensor in self.changed]
        with recorder.warming_up():
            for program in self.programs.values():
                if self.precompile is not None:
                    self.precompile(program)
                    self._restore(saved)
                for _ in range(WARM_UPS):
                    program()
                    self._restore(saved)

    @torch.no_grad()
    def _restore(self, saved: Sequence[Tensor]) -> None:
        for tensor, old in zip(self.changed, saved, strict=True):
            tensor.copy_(old)


def recorder_for(device: str) -> Recorder | None:
    """What records programs on a device: CUDA graphs on a GPU, nothing on a CPU."""
    return CudaRecorder(device) if device.startswith("cuda") else None


class CudaRecorder:
    """CUDA graphs that share one memory pool."""

    def __init__(self, device: str) -> None:
        self.device, self.pool = device, torch.cuda.graph_pool_handle()

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """A stream of its own, as a recording has; afterwards unused memory is free for the graphs."""
        gc.collect()  # graphs of an earlier training may hang in a reference cycle, with all their memory
        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            yield
        torch.cuda.current_stream(self.device).wait_stream(side)
        torch.cuda.empty_cache()

    def record(self, program: Program) -> Program:
        """Raises DropnasError for a program that cannot be recorded."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self.device), torch.cuda.graph(graph, pool=self.pool):
                program()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise not_recordable(str(error).strip().splitlines()[0], blamed(error)) from error
        return graph.replay


def not_recordable(reason: str, where: str = "") -> DropnasError:
    """A step that cannot be replayed as a graph."""
    return DropnasError(
        f"the step cannot be recorded as a CUDA graph: {reason}",
        where=where,
        remedy="keep values on the device and draw random numbers in `draw`; see docs/extending.md",
    )
