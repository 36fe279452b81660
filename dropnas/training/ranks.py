"""The processes that train one network together, started by `torchrun` (RANK, WORLD_SIZE, LOCAL_RANK), or just one.

Design: tensors are summed over the device's own backend (nccl, gloo on a CPU); small decisions of the hosts (resume
state, a stop) go over a gloo group, so that they never wait for a GPU. With one process everything here is free.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


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
        """Whether any process has the wish; all get the same answer."""
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
    """Join the processes that `torchrun` started; alone where it did not."""
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
