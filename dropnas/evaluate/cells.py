"""The cell of a genotype in an evaluation network, drop-path, and squeeze-and-excitation.

Design choices: the layout is that of DARTS, since Section 4.2 evaluates "as in DARTS". A node is the sum of its two
edges; the output concatenates the nodes in the genotype's concat. Feature maps may have any size, so that small images
can use the same network as CIFAR and ImageNet.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.artifacts.training_files import NetworkFile
from dropnas.space.genotype import EDGES_PER_NODE, Genotype
from dropnas.space.names import INPUTS
from dropnas.space.operations import AfterReLU, FactorizedReduce, Identity, ReLUConvBN, make_operation


class SqueezeExcitation(nn.Module):
    """Scales each channel by a function of all channels' means (Hu et al., CVPR 2018): two linear layers, sigmoid.

    The DropNAS paper only says "SE module". Here it is applied to each cell's output, its hidden layer has a sixteenth
    of the channels, and it has no biases. docs/decisions.md compares the numbers of parameters with the paper's.
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
        channels_before_last, channels_last: numbers of channels of the two inputs, which are states 0 and 1.
        channels: number of channels C of each node; the output has C channels for each node in the concat.
        reduction: whether to build the reduction cell, whose operations on the inputs have stride 2.
        reduction_before: whether the previous cell is a reduction cell, so that H and W of state 0 must be halved.
    """

    def __init__(
        self,
        shape: NetworkFile,
        genotype: Genotype,
        channels_before_last: int,
        channels_last: int,
        channels: int,
        reduction: bool,
        reduction_before: bool,
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
        strides = [2 if reduction and predecessor < INPUTS else 1 for predecessor in self.predecessors]
        self.operations = nn.ModuleList(
            make_operation(name, channels, stride, affine=True, pool_norm=shape.pool_norm)
            for (name, _), stride in zip(edges, strides, strict=True)
        )
        self.channels_out = channels * len(self.concat)
        self.excitation = SqueezeExcitation(self.channels_out) if shape.squeeze_excitation else nn.Identity()

    def forward(self, before_last: Tensor, last: Tensor, masks: Tensor | None) -> Tensor:
        """The cell's output (B, channels_out, H, W); a reduction cell halves H and W.

        Args:
            before_last, last: the two inputs after ReLU, which is applied outside of the cell because two cells read
                each input.
            masks: drop-path's factor for each edge and image, (edges, B, 1, 1, 1), with the dtype of the inputs.
                Identity operations ignore their factors. None disables drop-path.
        """
        states = [self.preprocess_before_last.rectified(before_last), self.preprocess_last.rectified(last)]
        rectified: dict[int, Tensor] = {}  # ReLU of each state, shared by the operations that begin with a ReLU
        for first in range(0, len(self.operations), EDGES_PER_NODE):
            left, right = (self._edge(edge, states, rectified, masks) for edge in range(first, first + EDGES_PER_NODE))
            states.append(_sum(left, right))
        output: Tensor = self.excitation(torch.cat([states[node] for node in self.concat], dim=1))
        return output

    def _edge(
        self, edge: int, states: list[Tensor], rectified: dict[int, Tensor], masks: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output of an edge's operation, and the mask by which to multiply it (None if there is none)."""
        operation, state = self.operations[edge], self.predecessors[edge]
        if isinstance(operation, AfterReLU | FactorizedReduce):
            if state not in rectified:
                rectified[state] = functional.relu(states[state])
            result = operation.rectified(rectified[state])
        else:
            result = operation(states[state])
        return result, None if masks is None or isinstance(operation, Identity) else masks[edge]


def _sum(*edges: tuple[Tensor, Tensor | None]) -> Tensor:
    """Add two results (B, C, H, W). A result that has a mask (B, 1, 1, 1) is first multiplied by it.

    One multiplication is fused with the addition.
    """
    (one, mask_of_one), (other, mask) = sorted(edges, key=lambda edge: edge[1] is not None)  # the unmasked one first
    if mask_of_one is not None:
        one = one * mask_of_one
    return one + other if mask is None else torch.addcmul(one, other, mask)


def draw_paths(edges: int, images: int, rate: float, generator: torch.Generator) -> Tensor:
    """Draw which edge outputs are kept: bool (images, edges), each true with probability 1 - rate."""
    kept = torch.empty((images, edges), dtype=torch.bool, device=generator.device)
    return kept.bernoulli_(1.0 - rate, generator=generator)


def drop_path_masks(kept: Tensor, scale: float | Tensor) -> Tensor:
    """The drop-path masks, (edges, B, 1, 1, 1): `scale` for the edge outputs that are kept, 0 for the dropped ones.

    A scale of 1 / (1 - rate) preserves the mean.
    """
    return (kept.t() * scale)[..., None, None, None]
