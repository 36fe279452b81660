"""CUDA graphs: the programs of a training are recorded once, and each is then replayed with a single launch.

Design choices: a program takes no arguments and returns nothing. It reads and writes tensors that keep their addresses.
A checkpoint is therefore copied into these tensors and never replaces them. A smaller last batch has its own program.
Before the first step, all programs are precompiled and warmed up, and the tensors that they changed are restored. All
programs are then recorded in one memory pool. On a CPU, tests replace `CudaRecorder` with `dropnas.training.rehearsal`,
to find values that a recording would freeze by mistake.
"""

import gc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from dropnas.errors import DropnasError
from dropnas.extension import blamed

WARM_UPS = 3  # PyTorch recommends such runs before a recording; libraries complete their setup in them
Program = Callable[[], None]
Prepare = Callable[[Program], object]


class Recorder(Protocol):
    """Records programs on one kind of device."""

    def warming_up(self) -> Any:
        """The context in which programs run before they are recorded."""

    def record(self, program: Program) -> Program:
        """Record a program without running it; return a function that replays it."""


class GraphedPrograms:
    """The programs of one training; a recorder records each of them once, and every call replays the recording.

    Args:
        programs: the programs, by key. They run one at a time, on one device, and neither read values back nor copy
            from the host.
        changed: all tensors that a program changes and whose values are read later.
        recorder: records the programs; None runs them directly.
        precompile: called with each program before its first run. The `changed` tensors are restored after the call.
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
        """Run one program once; the first call prepares all programs."""
        self.prepare()
        (self.programs if self.recorder is None else self.replays)[key]()

    def prepare(self) -> None:
        """Record all programs, once; the current tensors must be valid input for each of them."""
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
    """The recorder of a device: CUDA graphs on a GPU, None on a CPU."""
    return CudaRecorder(device) if device.startswith("cuda") else None


class CudaRecorder:
    """Records CUDA graphs that share one memory pool."""

    def __init__(self, device: str) -> None:
        self.device, self.pool = device, torch.cuda.graph_pool_handle()

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """The context of a warm-up: a separate stream, as in a recording. At its end, unused memory is released."""
        gc.collect()  # a reference cycle may keep the graphs of an earlier training in memory
        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            yield
        torch.cuda.current_stream(self.device).wait_stream(side)
        torch.cuda.empty_cache()

    def record(self, program: Program) -> Program:
        """Record a program. Raises DropnasError if the program cannot be recorded."""
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
    """The error for a step that cannot be replayed as a CUDA graph."""
    return DropnasError(
        f"the step cannot be recorded as a CUDA graph: {reason}",
        where=where,
        remedy="keep values on the device and draw random numbers in `draw`; see docs/extending.md",
    )
