"""The evaluation network of ImageNet (Section 4.2, last paragraph): DARTS' layout with 14 cells and 48 channels.

Design choices: the stem has three convolutions of stride 2, as in DARTS (the paper does not describe it).
Squeeze-and-excitation can be switched off, since the paper gives neither its position nor its size.
"""

from torch import Tensor, nn

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.stack import EvaluationNetwork
from dropnas.space.genotype import Genotype


class ImageNetNetwork(EvaluationNetwork):
    """A stem of stride 8, and the cells."""

    def __init__(self, shape: NetworkFile, genotype: Genotype) -> None:
        super().__init__(shape, genotype, ImageNetStem(shape.channels), shape.channels)


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions of stride 2; the first cell's inputs are the outputs of the second and the third."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.quarter = nn.Sequential(*_halving(3, half), nn.ReLU(), *_halving(half, width))
        self.eighth = nn.Sequential(nn.ReLU(), *_halving(width, width))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.quarter(images)  # (B, C, H/4, W/4)
        return quarter, self.eighth(quarter)  # (B, C, H/8, W/8)


def _halving(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after)]
