"""The parts that both evaluation networks share (Section 4.2, in DARTS' layout): cells, classifier, auxiliary tower.

Design choices: the drop-path masks of all cells are drawn in advance and passed as one tensor, so that a network draws
no random numbers. ReLU is applied only once to a state that two cells read, because on a GPU most of a step's time is
spent on passes over the largest feature maps.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.cells import Cell
from dropnas.evaluate.config import RetrainConfig, TransferConfig
from dropnas.space.genotype import Genotype

Outputs = tuple[Tensor, Tensor | None]  # logits, and the logits of the auxiliary tower
Forward = Callable[[Tensor, Tensor | None], Outputs]  # takes images and drop-path masks


def shape_of(
    network: Literal["cifar", "imagenet"],
    config: RetrainConfig | TransferConfig,
    classes: int,
    image_size: tuple[int, int],
    squeeze_excitation: bool = False,
) -> NetworkFile:
    """Return the NetworkFile that describes the network of a retraining or a transfer."""
    auxiliary = config.auxiliary_weight > 0
    sizes = (config.cells, config.channels, classes)
    return NetworkFile(network, *sizes, auxiliary, config.pool_norm, squeeze_excitation, image_size)


class EvaluationNetwork(nn.Module):
    """The network that a NetworkFile describes, with PyTorch's default initial weights.

    The auxiliary tower runs only in training mode.

    The stem maps images (B, 3, H, W) to the two inputs of the first cell, each with `width` channels.
    """

    def __init__(self, shape: NetworkFile, genotype: Genotype, stem: nn.Module, width: int) -> None:
        super().__init__()
        self.stem = stem
        self.stack = CellStack(shape, genotype, width)
        large = shape.network == "imagenet"
        tower = AuxiliaryTower(self.stack.auxiliary_channels, shape.classes, large) if shape.auxiliary else None
        self.auxiliary = tower
        self.classifier = nn.Linear(self.stack.channels_out, shape.classes)

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Outputs:
        """Logits (B, classes) and auxiliary logits of normalised images (B, 3, H, W) of any size.

        Args:
            masks: the masks of drop-path from `cells.drop_path_masks`, shape (E, B, 1, 1, 1), where E is the number
                of edges of all cells. None disables drop-path. Ignored in evaluation mode.
        """
        before_last, last = self.stem(images)
        states, auxiliary_states = self.stack(before_last, last, masks)
        logits = self.classifier(states.mean(dim=(2, 3)))  # (B, C, H, W) -> (B, C) -> (B, classes)
        if self.auxiliary is None or not self.training:
            return logits, None
        return logits, self.auxiliary(auxiliary_states)


class CellStack(nn.Module):
    """The cells between stem and classifier; reduction cells, at 1/3 and 2/3 of the depth, double the width.

    Each of the two inputs of the first cell has `width` channels.
    """

    def __init__(self, shape: NetworkFile, genotype: Genotype, width: int) -> None:
        super().__init__()
        before_last = last = width
        channels = shape.channels
        reductions = (shape.cells // 3, 2 * shape.cells // 3)
        reduction_before = shape.network == "imagenet"  # the stem for ImageNet ends with a reduction
        self.auxiliary_cell, self.auxiliary_channels = reductions[1], 0
        self.edge_counts: list[int] = []
        self.cells = nn.ModuleList()
        for index in range(shape.cells):
            reduction = index in reductions
            channels *= 2 if reduction else 1
            cell = Cell(shape, genotype, before_last, last, channels, reduction, reduction_before)
            self.cells.append(cell)
            self.edge_counts.append(len(cell.predecessors))
            before_last, last, reduction_before = last, cell.channels_out, reduction
            if index == self.auxiliary_cell:
                self.auxiliary_channels = cell.channels_out
        self.channels_out = last

    @property
    def edges(self) -> int:
        """The number of edges in all cells."""
        return sum(self.edge_counts)

    def forward(self, before_last: Tensor, last: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """The outputs of the last cell and of the cell that the auxiliary tower reads."""
        parts: Sequence[Tensor | None] = [None] * len(self.cells)
        if self.training and masks is not None:
            parts = torch.split(masks.to(last.dtype), self.edge_counts)
        alike = before_last is last
        rectified = functional.relu(last)
        rectified_before = rectified if alike else functional.relu(before_last)
        output = auxiliary = last
        for index, (cell, cell_masks) in enumerate(zip(self.cells, parts, strict=True)):
            output = cell(rectified_before, rectified, cell_masks)
            if index == self.auxiliary_cell:
                auxiliary = output
            if index + 1 < len(self.cells):
                rectified_before, rectified = rectified, functional.relu(output)
        return output, auxiliary


class AuxiliaryTower(nn.Module):
    """The auxiliary classifier at two thirds of the depth, as in DARTS.

    Its 2x2 convolution needs a 2x2 map. DARTS' 5x5 average pooling produces one from the standard maps: 8x8 for 32x32
    images (stride 3), and 7x7 for 224x224 images (stride 2). For other sizes, where DARTS' own tower would fail,
    adaptive average pooling to 2x2 replaces this pooling.
    """

    def __init__(self, channels: int, classes: int, large: bool) -> None:
        super().__init__()
        self.stride = 2 if large else 3
        self.features = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([] if large else [nn.BatchNorm2d(768)]),  # DARTS' tower for ImageNet has no batch norm here
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, states: Tensor) -> Tensor:
        pooled = self.pooled(functional.relu(states))
        logits: Tensor = self.classifier(self.features(pooled).flatten(1))  # (B, C, 2, 2) -> (B, 768) -> logits
        return logits

    def pooled(self, maps: Tensor) -> Tensor:
        """Pool feature maps to 2x2, which the tower's convolution needs."""
        if all((side - 5) // self.stride == 1 for side in maps.shape[-2:]):
            return functional.avg_pool2d(maps, 5, stride=self.stride, count_include_pad=False)
        return functional.adaptive_avg_pool2d(maps, 2)
