"""What batch norms see in a pass, and how their running statistics move by it: all at once.

Design choices: statistics are noted in the pass and written when it is over, in a few calls for all norms. What was
computed in vain, since a mask drops it, moves nothing: its norms take the share 0 of the batch, so that nobody has to
know on the host what the mask says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dropnas.search.engine.norm import Inverse, unbiased
from dropnas.search.supernet import Supernet


@dataclass(frozen=True)
class Tally:
    """What the batch norms of a pass have seen.

    Attributes:
        norms: those that saw the same maps, one after another; a norm stands there each time that it saw the batch.
        means, variances: what they saw side by side, each (norms * C,), the variance unbiased.
    """

    norms: list[Sequence[nn.BatchNorm2d]] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor | Inverse] = field(default_factory=list)

    def note(self, norms: Sequence[nn.BatchNorm2d], mean: Tensor, variance: Tensor | Inverse) -> None:
        """Remember what these norms saw."""
        self.norms.append(norms)
        self.means.append(mean)
        self.variances.append(variance)

    @torch.no_grad()
    def write(self, shares: Mapping[nn.Module, "Share"] | None = None) -> None:
        """Move the running statistics, count the batch; `shares` says how far, all the way if not given."""
        norms = [norm for alike in self.norms for norm in alike]
        momentum: Any = norms[0].momentum
        steps: Any = 1
        if shares is not None:
            momentum = [shares[norm].momentum for norm in norms]
            steps = [shares[norm].batches for norm in norms]
        for running, seen in (("running_mean", self.means), ("running_var", self._variances())):
            torch._foreach_lerp_([getattr(norm, running) for norm in norms], self._of_each(seen), momentum)
        counters: list[Any] = [norm.num_batches_tracked for norm in norms]
        torch._foreach_add_(counters, steps)

    def _variances(self) -> list[Tensor]:
        late = [variance for variance in self.variances if isinstance(variance, Inverse)]
        found = iter(unbiased(late) if late else ())
        return [next(found) if isinstance(variance, Inverse) else variance for variance in self.variances]

    def _of_each(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """The parts of the single norms."""
        return [part for alike, values in zip(self.norms, seen, strict=True) for part in values.chunk(len(alike))]


class Share(NamedTuple):
    """How far a norm moves: its momentum for each channel (C,) and the batches that it counts, a whole number ()."""

    momentum: Tensor
    batches: Tensor


class Shares:
    """How far the norms of K supernets move by a batch of which masks drop operations."""

    def __init__(self, supernets: Sequence[Supernet]) -> None:
        """Find which part of the masks (K, cells, edges, operations) each norm depends on."""
        places = [place for number, supernet in enumerate(supernets) for place in _places(supernet, number)]
        always = sum(len(list(_operations(supernet))) for supernet in supernets)
        self._norms = [norm for norm, _ in places]
        self._widths = [norm.num_features for norm in self._norms]
        device = self._norms[0].num_batches_tracked.device  # type: ignore[union-attr]
        self._places = torch.tensor([always if place is None else place for _, place in places], device=device)
        times = torch.tensor(self._widths, device=device)
        self._channels = self._places.repeat_interleave(times, output_size=sum(self._widths))

    def of(self, kept: Tensor) -> dict[nn.Module, Share]:
        """The share of each norm; kept is bool (K, cells, edges, operations)."""
        keeps = torch.cat([kept.flatten(), kept.new_ones(1)])
        some: Any = self._norms[0]
        weights = (some.momentum * keeps.to(some.running_mean.dtype)).index_select(0, self._channels)
        momentum = torch.split(weights, self._widths)  # type: ignore[no-untyped-call]
        batches = keeps.long().index_select(0, self._places).unbind()
        return dict(zip(self._norms, map(Share, momentum, batches), strict=True))


def _operations(supernet: Supernet) -> Iterator[nn.Module]:
    cells: Any = supernet.cells
    return (operation for cell in cells for edge in cell.edges for operation in edge.children())


def _places(supernet: Supernet, number: int) -> Iterator[tuple[nn.BatchNorm2d, int | None]]:
    """The norms of the supernet of that number, each with its flat index in the masks, None off the edges."""
    operations = list(_operations(supernet))
    first = number * len(operations)
    place_of = {part: first + place for place, each in enumerate(operations) for part in each.modules()}
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            yield module, place_of.get(module)
