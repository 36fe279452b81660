"""A training step as one static program: run as it stands on a CPU, captured as a CUDA graph and replayed on a GPU.

Design choices: a program takes and gives nothing; it reads and writes tensors that stay at their addresses. So a step
is one launch, whatever it consists of, and a checkpoint must be copied into these tensors, never put in their place.
A program has one set of shapes; for the last, smaller batch of an epoch a second one is captured beside the first, in
the same memory: run eagerly it would need memory of its own for its activations, and all the launches.
Gradients are best taken with `torch.autograd.grad` inside the program: then they lie in the graph's memory, and no
`.grad` outlives a pass. A context of autocast belongs inside the program too, so that the casts are recorded with it.
"""

import gc
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3  # runs before the capture, in which libraries make what they make at first use; as torch advises


class Captured:
    """A program, replayed from its second call on where it runs on a GPU.

    Args:
        program: reads and writes tensors on `device`; with no read-back and no copy from the host in it.
        moving: all tensors that the program changes and whose values outlast it, so that warming up changes nothing.
        device: "cpu", "cuda" or "cuda:N".
        beside: another program, never run at the same time, that this one shares memory with. What either leaves
            behind must be written into tensors made outside of both.
        prepare: is given the program before it first runs on a GPU; what it changes is undone.
    """

    def __init__(
        self,
        program: Callable[[], None],
        moving: Sequence[Tensor],
        device: str,
        beside: "Captured | None" = None,
        prepare: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.program, self.moving, self.device, self.prepare = program, moving, device, prepare
        self.graph: torch.cuda.CUDAGraph | None = None
        self.pool: Any = None
        if self._on_gpu:
            self.pool = beside.pool if beside else torch.cuda.graph_pool_handle()

    def __call__(self) -> None:
        """Run the program once."""
        if not self._on_gpu:
            self.program()
            return
        if self.graph is None:
            with torch.cuda.device(self.device):
                self._warm_up()
                self.graph = self._capture()
        self.graph.replay()

    @property
    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    def _warm_up(self) -> None:
        """Run the program on a stream of its own, as a capture does, and undo what it did."""
        gc.collect()  # a program and its owner know each other: only this frees the memory of the last owner's graphs
        saved = [tensor.detach().clone() for tensor in self.moving]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            if self.prepare is not None:
                self.prepare(self.program)
            for _ in range(WARM_UP):
                self.program()
        torch.cuda.current_stream().wait_stream(aside)
        with torch.no_grad():
            for tensor, old in zip(self.moving, saved, strict=True):
                tensor.copy_(old)

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):  # nothing runs here, it is only recorded
            self.program()
        return graph
