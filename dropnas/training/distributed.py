"""The processes that train one network: one, or several that `torchrun` starts (RANK, WORLD_SIZE, LOCAL_RANK).

Design choices: tensors are summed by the device's own backend (nccl on a GPU, gloo on a CPU). Decisions on the host
(where to resume, when to stop) use a separate gloo group, so they never wait for a GPU. After each step, one all-reduce
combines gradients, sums and batch-norm statistics, as if one process had seen all micro-batches. Running statistics are
an exponential moving average over the micro-batches, which are in the order of the ranks. The weight of a process's
contribution therefore depends on its rank. DistributedDataParallel would only average gradients.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among those that train one network."""

    rank: int = 0  # process 0 leads: only it writes and reports
    world: int = 1  # number of processes
    hosts: dist.ProcessGroup | None = None  # gloo group of all processes; None for a single process

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, wish: bool) -> bool:
        """Return whether `wish` is true in any process; all processes get the same answer."""
        if self.world == 1:
            return wish
        votes = torch.tensor(int(wish))
        dist.all_reduce(votes, op=dist.ReduceOp.MAX, group=self.hosts)
        return bool(votes)

    def share(self, make: Callable[[], Any]) -> Any:
        """Compute a value in the leading process and broadcast it to all processes."""
        if self.world == 1:
            return make()
        box = [make() if self.leads else None]
        dist.broadcast_object_list(box, src=0, group=self.hosts)
        return box[0]


SINGLE = Ranks()


def leads() -> bool:
    """Return whether this process leads, according to the environment variables."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started; yield SINGLE if there is only one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield SINGLE
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        hosts = dist.new_group(backend="gloo")
        assert isinstance(hosts, dist.ProcessGroup)  # torch returns an int to processes outside the group
        yield Ranks(dist.get_rank(), world, hosts)
    finally:
        dist.destroy_process_group()


class Combiner:
    """Combines the gradients and batch-norm statistics of the processes that train one network.

    Args:
        network: its batch norms must have a fixed momentum, like PyTorch's default.
        micro_batches: number of forward passes of each process in a step; the processes take the micro-batches of the
            global batch in the order of their ranks.
        ranks: the processes; for a single one, nothing is combined.
    """

    def __init__(self, network: nn.Module, micro_batches: int, ranks: Ranks) -> None:
        self.ranks, self.micro_batches = ranks, micro_batches
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.norms = [
            layer for layer in network.modules() if isinstance(layer, _NormBase) and layer.running_mean is not None
        ]
        self.before: list[Tensor] = []

    def start_step(self) -> None:
        """Store a copy of the running statistics, which are equal in all processes at this point."""
        if self.ranks.world > 1:
            self.before = [statistic.clone() for _, statistic in self._statistics()]

    @torch.no_grad()
    def finish_step(self, sums: Tensor) -> None:
        """Sum the gradients and `sums` (float32) over all processes; combine the running statistics."""
        if self.ranks.world == 1:
            return
        for parameter in self.parameters:
            if parameter.grad is None:  # unused in this process, but another process may have used it
                parameter.grad = torch.zeros_like(parameter)
        self._leave_own_part()
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        _sum_flat([*gradients, sums, *(statistic for _, statistic in self._statistics())], self.ranks)
        for (momentum, statistic), before in zip(self._statistics(), self.before, strict=True):
            statistic.add_(before, alpha=(1 - momentum) ** (self.micro_batches * self.ranks.world))
        for norm in self.norms:
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += self.micro_batches * (self.ranks.world - 1)

    def _leave_own_part(self) -> None:
        """Keep only this process's contribution to each running statistic, with the decay due to higher ranks."""
        later = self.ranks.world - 1 - self.ranks.rank
        for (momentum, statistic), before in zip(self._statistics(), self.before, strict=True):
            kept = (1 - momentum) ** self.micro_batches
            statistic.sub_(before, alpha=kept).mul_(kept**later)

    def _statistics(self) -> list[tuple[float, Tensor]]:
        return [
            (float(norm.momentum or 0.0), statistic)
            for norm in self.norms
            for statistic in (norm.running_mean, norm.running_var)
            if statistic is not None
        ]


def _sum_flat(tensors: Sequence[Tensor], ranks: Ranks) -> None:
    """Sum float32 tensors over all processes, in place, with a single all-reduce."""
    flat = ranks.sum(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
