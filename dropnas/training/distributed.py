"""The processes that train one network, started by `torchrun` (RANK, WORLD_SIZE, LOCAL_RANK), or just one.

Design: tensors are summed over the device's own backend (nccl, gloo on a CPU); small decisions of the hosts (resume
state, a stop) go over a gloo group, so that they never wait for a GPU. With one process everything here is free.

After each step one flat all-reduce combines gradients, sums and batch-norm statistics, so that the number of processes
changes nothing but rounding. DistributedDataParallel averages gradients but leaves each process its own running
statistics and its own loss. Running statistics are an exponential mean over the micro-batches in their order. It is
linear, so what each process saw can enter at its position in that order, as if one process had seen all of it.
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
    """This process among those that train one network.

    Attributes:
        rank: number of this process; 0 leads: it alone writes and reports.
        world: number of processes.
        hosts: gloo group of all processes; None where there is one.
    """

    rank: int = 0
    world: int = 1
    hosts: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, wish: bool) -> bool:
        """Whether any process asks for it; all get the same answer."""
        if self.world == 1:
            return wish
        votes = torch.tensor(int(wish))
        dist.all_reduce(votes, op=dist.ReduceOp.MAX, group=self.hosts)
        return bool(votes)

    def share(self, make: Callable[[], Any]) -> Any:
        """What the leader makes, given to all."""
        if self.world == 1:
            return make()
        box = [make() if self.leads else None]
        dist.broadcast_object_list(box, src=0, group=self.hosts)
        return box[0]


SINGLE = Ranks()


def leads() -> bool:
    """Whether this process is the one that writes, by its environment alone."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started; a single process where it did not."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield SINGLE
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        hosts = dist.new_group(backend="gloo")
        assert isinstance(hosts, dist.ProcessGroup)  # a number stands for a group that one is not in
        yield Ranks(dist.get_rank(), world, hosts)
    finally:
        dist.destroy_process_group()


class Combiner:
    """Combines the processes' work on one network.

    Args:
        network: its batch norms must have a fixed momentum, as PyTorch's default.
        micro_batches: forward passes of one process in one step; process 0 has the first ones of the global batch.
        ranks: the processes; with one nothing is done.
    """

    def __init__(self, network: nn.Module, micro_batches: int, ranks: Ranks) -> None:
        self.ranks, self.micro_batches = ranks, micro_batches
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.norms = [
            layer for layer in network.modules() if isinstance(layer, _NormBase) and layer.running_mean is not None
        ]
        self.before: list[Tensor] = []

    def start_step(self) -> None:
        """Remember the running statistics, which are equal in all processes here."""
        if self.ranks.world > 1:
            self.before = [statistic.clone() for _, statistic in self._statistics()]

    @torch.no_grad()
    def finish_step(self, sums: Tensor) -> None:
        """Sum the gradients and `sums` (float32) over all processes; combine the running statistics."""
        if self.ranks.world == 1:
            return
        for parameter in self.parameters:
            if parameter.grad is None:  # unused in this process's forward passes, perhaps not in another's
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
        """Turn each running statistic into what this process's batches will still weigh after those of later ones."""
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
    """Sum float32 tensors over all processes, in place, by one all-reduce."""
    flat = ranks.sum(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
