"""What the processes of one training combine after each step, so that their number changes nothing but rounding.

Design: one flat all-reduce of gradients, sums and batch-norm statistics, instead of DistributedDataParallel: that one
averages gradients but leaves each process its own running statistics, and its own idea of the loss. Running statistics
are an exponential mean over the micro-batches in their order. It is linear, so what each process saw can be put in its
place in that order, as if one process had seen all of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from dropnas.training.ranks import Ranks


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
        """Sum the gradients and `sums` (float32) over all processes; bring the running statistics together."""
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
    """Sum float32 tensors over all processes, in place, in one go."""
    flat = ranks.sum(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
