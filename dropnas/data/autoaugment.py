"""AutoAugment (Cubuk et al., CVPR 2019): the policies found on CIFAR-10 (used for CIFAR-100 too) and on ImageNet.

Design: an image draws one of 25 sub-policies; each of its two operations is applied with its own probability. All
images of a batch that got the same operation, level and sign go through torchvision's function together, so a batch
costs a few dozen calls however many images it has. Levels are the paper's ten uniform steps in the form that PyTorch's
implementations use: geometric operations and the enhancements take a random sign, an enhancement's factor is 1 +- 0.1 a
level (the same range 0.1..1.9). The operations themselves are in `dropnas.data.image_operations`.

The draws come from one explicit generator; where it lives on a GPU, the batch's draws are read back once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

LEVELS = 10
SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}

SubPolicy = tuple[tuple[str, float, int], tuple[str, float, int]]  # twice: operation, probability, level

CIFAR: tuple[SubPolicy, ...] = (
    (("Invert", 0.1, 7), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 8), ("Equalize", 0.9, 2)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 5), ("Equalize", 0.5, 1)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 7), ("AutoContrast", 0.4, 8)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 3)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 8), ("Equalize", 0.6, 4)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 6)),
    (("AutoContrast", 0.8, 4), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 3)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 2), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 8), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 1)),
)

IMAGENET: tuple[SubPolicy, ...] = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)


def cifar(images: Tensor, generator: torch.Generator) -> Tensor:
    """The CIFAR-10 policy on uint8 images (B, 3, H, W)."""
    return _augment(images, CIFAR, generator)


def imagenet(images: Tensor, generator: torch.Generator) -> Tensor:
    """The ImageNet policy on uint8 images (B, 3, H, W)."""
    return _augment(images, IMAGENET, generator)


@dataclass(frozen=True)
class _Table:
    """A policy as tensors, to look up a whole batch's draws.

    Attributes:
        operations: the distinct (name, level, sign) of the policy.
        index: int64 (25, 2, 2): which of them a sub-policy's first or second operation is, with sign + or -.
        probability: float32 (25, 2).
    """

    operations: tuple[tuple[str, int, int], ...]
    index: Tensor
    probability: Tensor


@cache
def _table(policy: tuple[SubPolicy, ...]) -> _Table:
    signed = [
        [[(name, level, sign if name in SIGNED else 1) for sign in (1, -1)] for name, _, level in pair]
        for pair in policy
    ]
    operations = tuple(dict.fromkeys(operation for pair in signed for signs in pair for operation in signs))
    index = [[[operations.index(operation) for operation in signs] for signs in pair] for pair in signed]
    probability = [[probability for _, probability, _ in pair] for pair in policy]
    return _Table(operations, torch.tensor(index), torch.tensor(probability))


def _augment(images: Tensor, policy: tuple[SubPolicy, ...], generator: torch.Generator) -> Tensor:
    table = _table(policy)
    chosen = _draw(len(images), table, generator)  # (B, 2)
    images = images.clone()
    for slot in range(2):
        for operation in sorted(set(chosen[:, slot].tolist())):
            if operation >= 0:
                members = (chosen[:, slot] == operation).nonzero()[:, 0].to(images.device)
                images[members] = apply(images[members], *table.operations[operation])
    return images


def _draw(count: int, table: _Table, generator: torch.Generator) -> Tensor:
    """Which operation each image gets in either place, int64 (count, 2) on the CPU; -1 is none."""
    device = generator.device
    policies = torch.randint(len(table.index), (count, 1), generator=generator, device=device).cpu()
    chances = torch.rand((count, 2), generator=generator, device=device).cpu()
    signs = torch.randint(2, (count, 2), generator=generator, device=device).cpu()
    operations = table.index[policies, torch.arange(2), signs]
    return operations.where(chances < table.probability[policies, torch.arange(2)], -1)


def apply(images: Tensor, name: str, level: int, sign: int) -> Tensor:
    """One operation at level 0..9 with sign +1 or -1 on uint8 images (B, 3, H, W)."""
    return operations()[name](images, sign * level / (LEVELS - 1))


def operations() -> dict[str, Callable[[Tensor, float], Tensor]]:
    """The operations by name; imported late, since torchvision takes its time and most trainings do without it."""
    from dropnas.data.image_operations import OPERATIONS

    return OPERATIONS
