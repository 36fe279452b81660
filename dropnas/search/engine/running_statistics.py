"""The batch statistics of a pass, and the update of all running statistics.

Design choices: the statistics are collected during the pass and written afterwards, in a few calls for all norms. If a
mask drops an operation that a static step still computes, its norms get the update weight 0. The host therefore need
not read the mask.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dropnas.search.supernet import Supernet


@dataclass(frozen=True)
class RunningStatistics:
    """The batch statistics that the norms of a pass computed.

    The norms of one call of `note` form a group, whose channels are side by side in one tensor. The groups are in the
    order of the pass. A norm that is applied several times is listed once for each application.
    """

    norms: list[Sequence[nn.BatchNorm2d]] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)  # the means of each group, side by side, (norms * C,)
    variances: list[Tensor] = field(default_factory=list)  # the unbiased variances of each group, likewise

    def note(self, norms: Sequence[nn.BatchNorm2d], mean: Tensor, variance: Tensor) -> None:
        """Store the batch statistics of these norms."""
        self.norms.append(norms)
        self.means.append(mean)
        self.variances.append(variance)

    @torch.no_grad()
    def update(self, weights: Mapping[nn.Module, "UpdateWeight"] | None = None) -> None:
        """Update running statistics and batch counters with each norm's update weight. None updates all norms."""
        norms = [norm for alike in self.norms for norm in alike]
        momentum: Any = norms[0].momentum
        steps: Any = 1
        if weights is not None:
            momentum = [weights[norm].momentum for norm in norms]
            steps = [weights[norm].batches for norm in norms]
        for running, seen in (("running_mean", self.means), ("running_var", self.variances)):
            torch._foreach_lerp_([getattr(norm, running) for norm in norms], self._of_each(seen), momentum)
        counters: list[Any] = [norm.num_batches_tracked for norm in norms]
        torch._foreach_add_(counters, steps)

    def _of_each(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """Split the statistics by norm."""
        return [part for alike, values in zip(self.norms, seen, strict=True) for part in values.chunk(len(alike))]


class UpdateWeight(NamedTuple):
    """A norm's momentum for each channel, (C,), and the number of batches to count, a scalar tensor (0 or 1)."""

    momentum: Tensor
    batches: Tensor


class UpdateWeights:
    """The update weights of the norms of K supernets for a batch whose masks drop operations."""

    def __init__(self, supernets: Sequence[Supernet]) -> None:
        """Find, for each norm, the entry of the masks (K, cells, edges, operations) that says whether it is updated."""
        slots = [pair for number, supernet in enumerate(supernets) for pair in _slots(supernet, number)]
        always = sum(len(list(supernet.operations())) for supernet in supernets)
        self._norms = [norm for norm, _ in slots]
        self._widths = [norm.num_features for norm in self._norms]
        device = self._norms[0].num_batches_tracked.device  # type: ignore[union-attr]
        self._slots = torch.tensor([always if slot is None else slot for _, slot in slots], device=device)
        times = torch.tensor(self._widths, device=device)
        self._channels = self._slots.repeat_interleave(times, output_size=sum(self._widths))

    def of(self, kept: Tensor) -> dict[nn.Module, UpdateWeight]:
        """The update weight of each norm; `kept` is bool (K, cells, edges, operations)."""
        keeps = torch.cat([kept.flatten(), kept.new_ones(1)])
        some: Any = self._norms[0]
        weights = (some.momentum * keeps.to(some.running_mean.dtype)).index_select(0, self._channels)
        momentum = torch.split(weights, self._widths)  # type: ignore[no-untyped-call]
        batches = keeps.long().index_select(0, self._slots).unbind()
        return dict(zip(self._norms, map(UpdateWeight, momentum, batches), strict=True))


def _slots(supernet: Supernet, number: int) -> Iterator[tuple[nn.BatchNorm2d, int | None]]:
    """The norms of a supernet, each with its flat index in the masks; None if the norm is not on an edge."""
    operations = [operation for _, operation in supernet.operations()]
    first = number * len(operations)
    slot_of = {part: first + slot for slot, each in enumerate(operations) for part in each.modules()}
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            yield module, slot_of.get(module)
