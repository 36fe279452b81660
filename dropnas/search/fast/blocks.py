"""What operations are made of, for several equal operations at once that read the same or parallel maps.

Design choices: maps are (B, H, W, E * C), contiguous: those of E operations side by side. The modules are the plain
supernet's own, and so are their weights and running statistics; here they are only computed in another way.
A mixing weight is the scale of the batch norm that ends its operation, so that weighting costs no pass over the maps,
and the derivative in it comes with that of the norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.search.fast.depthwise import depthwise
from dropnas.search.fast.norm import batch_norm
from dropnas.space.operations import FactorizedReduce


@dataclass(frozen=True)
class Tally:
    """What the batch norms of a pass have seen, so that their statistics move all at once.

    Attributes:
        norms: one for each time that one saw the batch.
        means, variances: what it saw, the variance unbiased.
    """

    norms: list[nn.BatchNorm2d] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)

    def note(self, norms: Sequence[nn.BatchNorm2d], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
        """Remember what each of these norms saw."""
        self.norms.extend(norms)
        self.means.extend(means)
        self.variances.extend(variances)

    @torch.no_grad()
    def write(self) -> None:
        """Move the running statistics, count the batch."""
        momentum = self.norms[0].momentum
        assert momentum is not None
        for running, seen in (("running_mean", self.means), ("running_var", self.variances)):
            torch._foreach_lerp_([getattr(norm, running) for norm in self.norms], seen, momentum)
        counters: list[Any] = [norm.num_batches_tracked for norm in self.norms]
        torch._foreach_add_(counters, 1)


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Weights or statistics of E operations as those of one."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def repeated(maps: Tensor, times: int) -> Tensor:
    """The same maps side by side: (B, H, W, times * C)."""
    return maps if times == 1 else torch.cat([maps] * times, dim=-1)


def depthwise_of(maps: Tensor, layers: Sequence[nn.Conv2d], dilation: int) -> Tensor:
    """Depthwise convolutions of E operations, stride 1, of the dilation given rather than the layers' own."""
    return depthwise(maps, [side_by_side([layer.weight for layer in layers])], dilation)[0]


def pointwise(maps: Tensor, layers: Sequence[nn.Conv2d]) -> Tensor:
    """1x1 convolutions of E operations, each of its own part of the channels."""
    if len(layers) == 1:
        return functional.linear(maps, layers[0].weight.flatten(1))
    matrices = torch.stack([layer.weight.flatten(1) for layer in layers])  # (E, C', C)
    parts = maps.reshape(-1, *matrices.shape[::2]).transpose(0, 1)  # (E, B * H * W, C)
    mixed = torch.bmm(parts, matrices.transpose(1, 2)).transpose(0, 1)
    return mixed.reshape(*maps.shape[:3], -1)


def normed(
    maps: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    tally: Tally,
    scales: Sequence[Tensor] | None = None,
    rectify: bool = False,
) -> Tensor:
    """Batch norm of E operations without parameters, each channel scaled.

    Args:
        norms: whose running statistics move.
        scales: of each operation (C,); 1 if not given.
        rectify: whether a ReLU follows.
    """
    normal = batch_norm(maps, None if scales is None else side_by_side(scales), norms[0].eps, rectify)
    tally.note(norms, normal.mean.chunk(len(norms)), normal.variance.chunk(len(norms)))
    return normal.maps


def shared_norm(maps: Tensor, norms: Sequence[nn.BatchNorm2d], tally: Tally) -> Tensor:
    """The batch norm of maps that E equal norms would all give; the running statistics of all of them move."""
    normal = batch_norm(maps, None, norms[0].eps)
    tally.note(norms, [normal.mean] * len(norms), [normal.variance] * len(norms))
    return normal.maps


def reduced(
    rectified: Tensor, layers: Sequence[FactorizedReduce], tally: Tally, scales: Sequence[Tensor] | None = None
) -> Tensor:
    """FactorizedReduce of E operations that read the same maps, after their ReLU: (B, H / 2, W / 2, E * C)."""
    height, width = rectified.shape[1:3]
    straight = rectified[:, ::2, ::2]
    shifted = functional.pad(rectified, (0, 0, 0, width % 2, 0, height % 2))[:, 1::2, 1::2]
    halves = [
        functional.linear(maps, side_by_side([getattr(layer, name).weight for layer in layers]).flatten(1))
        for maps, name in ((straight, "straight"), (shifted, "shifted"))
    ]
    joined = torch.cat([half.reshape(*half.shape[:-1], len(layers), -1) for half in halves], dim=-1).flatten(-2)
    return normed(joined, [layer.norm for layer in layers], tally, scales)


def pooled(maps: Tensor, pool: nn.Module) -> Tensor:
    """A pooling, with the channels last."""
    images: Tensor = pool(maps.permute(0, 3, 1, 2))
    return images.permute(0, 2, 3, 1)
