"""The evaluation network of ImageNet (Section 4.2, last paragraph): DARTS' layout with 14 cells and 48 channels.

Design choices: the stem has three convolutions of stride 2, as in DARTS (the paper does not describe it).
Squeeze-and-excitation can be switched off, since the paper gives neither its position nor its size.
"""

from torch import Tensor, nn

from dropnas.evaluate.stack import AuxiliaryTower, CellStack, EvaluationNetwork
from dropnas.space.genotype import Genotype

AUXILIARY_STRIDE = 2


class ImageNetNetwork(EvaluationNetwork):
    """Stem of stride 8, cells, classifier, and an auxiliary tower during training.

    Args:
        genotype: the two cells.
        channels: initial width C, at least 2; 48 in the paper.
        cells: depth; 14 in the paper.
        classes: 1,000 on ImageNet.
        auxiliary: whether there is an auxiliary tower (its loss has weight 0.4 in the paper).
        pool_norm: whether batch norm follows pooling.
        squeeze_excitation: whether a squeeze-and-excitation module follows each cell.
    """

    def __init__(
        self,
        genotype: Genotype,
        channels: int,
        cells: int,
        classes: int,
        auxiliary: bool,
        pool_norm: bool,
        squeeze_excitation: bool,
    ) -> None:
        stack = CellStack(
            genotype,
            channels,
            channels,
            cells,
            reduction_before=True,
            pool_norm=pool_norm,
            squeeze_excitation=squeeze_excitation,
        )
        tower = (
            AuxiliaryTower(stack.auxiliary_channels, classes, AUXILIARY_STRIDE, last_norm=False) if auxiliary else None
        )
        super().__init__(ImageNetStem(channels), stack, tower, classes)


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions of stride 2; the first cell's inputs are the outputs of the second and the third."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.quarter = nn.Sequential(*_halving(3, half), nn.ReLU(), *_halving(half, channels))
        self.eighth = nn.Sequential(nn.ReLU(), *_halving(channels, channels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.quarter(images)  # (B, C, H/4, W/4)
        return quarter, self.eighth(quarter)  # (B, C, H/8, W/8)


def _halving(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
    ]
