"""The evaluation network of CIFAR (Section 4.2): DARTS' layout with 20 cells and 36 initial channels."""

from torch import Tensor, nn

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.stack import EvaluationNetwork
from dropnas.space.genotype import Genotype

STEM_MULTIPLIER = 3


class CifarNetwork(EvaluationNetwork):
    """A stem of 3C channels, and the cells."""

    def __init__(self, shape: NetworkFile, genotype: Genotype) -> None:
        width = STEM_MULTIPLIER * shape.channels
        super().__init__(shape, genotype, CifarStem(width), width)


class CifarStem(nn.Module):
    """A 3x3 convolution and batch norm, whose output serves as both inputs of the first cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        states = self.norm(self.convolution(images))
        return states, states  # (B, 3C, H, W) twice
