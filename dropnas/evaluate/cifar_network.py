"""The evaluation network of CIFAR (Section 4.2): DARTS' layout with 20 cells and 36 initial channels."""

from torch import Tensor, nn

from dropnas.evaluate.stack import AuxiliaryTower, CellStack, EvaluationNetwork
from dropnas.space.genotype import Genotype

STEM_MULTIPLIER = 3
AUXILIARY_STRIDE = 3


class CifarNetwork(EvaluationNetwork):
    """Stem of 3C channels, cells, classifier, and an auxiliary tower during training.

    Args:
        genotype: the two cells.
        channels: initial width C; 36 in the paper.
        cells: depth; 20 in the paper.
        classes: 10 or 100.
        auxiliary: whether there is an auxiliary tower (its loss has weight 0.4 in the paper).
        pool_norm: whether batch norm follows pooling, as in the release.
    """

    def __init__(
        self, genotype: Genotype, channels: int, cells: int, classes: int, auxiliary: bool, pool_norm: bool
    ) -> None:
        width = STEM_MULTIPLIER * channels
        stack = CellStack(
            genotype,
            width,
            channels,
            cells,
            reduction_before=False,
            pool_norm=pool_norm,
            squeeze_excitation=False,
        )
        tower = (
            AuxiliaryTower(stack.auxiliary_channels, classes, AUXILIARY_STRIDE, last_norm=True) if auxiliary else None
        )
        super().__init__(CifarStem(width), stack, tower, classes)


class CifarStem(nn.Module):
    """A 3x3 convolution and batch norm; its output is both inputs of the first cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        states = self.norm(self.convolution(images))
        return states, states  # (B, 3C, H, W) twice
