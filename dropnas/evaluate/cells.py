"""The cell of a genotype in an evaluation network, drop-path, and squeeze-and-excitation.

Design choices: the layout is DARTS', since Section 4.2 evaluates "as in DARTS"; the two edges of a node are added, the
nodes of the genotype's concat are the output. Maps of any size work, so that small data can go through the same network
as CIFAR and ImageNet.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS
from dropnas.space.operations import AfterReLU, FactorizedReduce, Identity, ReLUConvBN, make_operation


class SqueezeExcitation(nn.Module):
    """Weighs the channels by what the whole map holds (Hu et al., CVPR 2018): pooling, two linear layers, sigmoid.

    The DropNAS paper says "SE module" and no more. Here: on each cell's output, the hidden layer a sixteenth of the
    channels, no biases; docs/decisions.md compares the counts.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        summary = states.mean(dim=(2, 3))  # (B, C)
        weights = self.excite(functional.relu(self.squeeze(summary))).sigmoid()
        weighed: Tensor = states * weights[:, :, None, None]
        return weighed


class Cell(nn.Module):
    """One cell of a genotype (Section 2.1, after derivation).

    Args:
        genotype: its normal or reduction cell is built.
        channels_before_last, channels_last: channels of the two inputs, states 0 and 1.
        channels: channels C of each node; the output has C for each node in the concat.
        reduction: whether it is a reduction cell, whose operations on the inputs have stride 2.
        reduction_before: whether the last cell was one, so that state 0 must be halved to meet state 1.
        pool_norm: batch norm after pooling.
        squeeze_excitation: a SqueezeExcitation on the output.
    """

    def __init__(
        self,
        genotype: Genotype,
        channels_before_last: int,
        channels_last: int,
        channels: int,
        reduction: bool,
        reduction_before: bool,
        pool_norm: bool,
        squeeze_excitation: bool,
    ) -> None:
        super().__init__()
        edges = genotype.reduce if reduction else genotype.normal
        self.concat = genotype.reduce_concat if reduction else genotype.normal_concat
        self.predecessors = [predecessor for _, predecessor in edges]
        self.preprocess_before_last = (
            FactorizedReduce(channels_before_last, channels, affine=True)
            if reduction_before
            else ReLUConvBN(channels_before_last, channels, kernel=1, stride=1, padding=0, affine=True)
        )
        self.preprocess_last = ReLUConvBN(channels_last, channels, kernel=1, stride=1, padding=0, affine=True)
        self.operations = nn.ModuleList(
            make_operation(
                name,
                channels,
                stride=2 if reduction and predecessor < INPUTS else 1,
                affine=True,
                pool_norm=pool_norm,
            )
            for name, predecessor in edges
        )
        self.channels_out = channels * len(self.concat)
        self.excitation = SqueezeExcitation(self.channels_out) if squeeze_excitation else nn.Identity()

    def forward(self, before_last: Tensor, last: Tensor, masks: Tensor | None) -> Tensor:
        """The cell's output (B, channels_out, H, W), or half of H and W from a reduction cell.

        Args:
            before_last, last: the two inputs, after ReLU: it is the first thing that every cell does to them, and two
                cells see each.
            masks: (edges, B, 1, 1, 1) of the inputs' type, multiply what each operation but identity gives (drop-path);
                None is off.
        """
        states = [self.preprocess_before_last.rectified(before_last), self.preprocess_last.rectified(last)]
        rectified: dict[int, Tensor] = {}  # states after ReLU, for all operations that begin with it
        for first in range(0, len(self.operations), EDGES_PER_NODE):
            left, right = (self._edge(edge, states, rectified, masks) for edge in range(first, first + EDGES_PER_NODE))
            states.append(_sum(left, right))
        output: Tensor = self.excitation(torch.cat([states[node] for node in self.concat], dim=1))
        return output

    def _edge(
        self, edge: int, states: list[Tensor], rectified: dict[int, Tensor], masks: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What an edge's operation makes of its state, and what that is to be multiplied by, if anything."""
        operation, state = self.operations[edge], self.predecessors[edge]
        if isinstance(operation, AfterReLU | FactorizedReduce):
            if state not in rectified:
                rectified[state] = functional.relu(states[state])
            result = operation.rectified(rectified[state])
        else:
            result = operation(states[state])
        return result, None if masks is None or isinstance(operation, Identity) else masks[edge]


def _sum(*edges: tuple[Tensor, Tensor | None]) -> Tensor:
    """The sum of two results (B, C, H, W) times their masks (B, 1, 1, 1), the last product in the pass of the sum."""
    (one, mask_of_one), (other, mask) = sorted(edges, key=lambda edge: edge[1] is not None)  # the unmasked one first
    if mask_of_one is not None:
        one = one * mask_of_one
    return one + other if mask is None else torch.addcmul(one, other, mask)


def draw_paths(edges: int, images: int, rate: float, generator: torch.Generator) -> Tensor:
    """Which operations' outputs are kept, for each image and edge with probability 1 - rate: bool (images, edges)."""
    kept = torch.empty((images, edges), dtype=torch.bool, device=generator.device)
    return kept.bernoulli_(1.0 - rate, generator=generator)


def drop_path_masks(kept: Tensor, scale: float | Tensor) -> Tensor:
    """What the outputs are multiplied by: 0, or the scale where they are kept; (edges, B, 1, 1, 1).

    Args:
        kept: bool (B, edges), as `draw_paths` gives it.
        scale: 1 / (1 - rate), which keeps the mean.
    """
    return (kept.t() * scale)[..., None, None, None]
