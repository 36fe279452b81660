"""AutoAugment (Cubuk et al., CVPR 2019): the policies found on CIFAR-10 (used for CIFAR-100 too) and on ImageNet.

Design choices: each image draws one of 25 sub-policies. Each of its two operations is applied with the operation's
probability. All operations are drawn first, as numbers, possibly for an entire epoch. `dropnas.data.operation_tables`
then applies them, either to a batch (all first operations, then all second ones) or image by image. Both give the same
pixels. Levels are the paper's ten uniform steps, as in PyTorch's implementations: geometric operations and enhancements
have a random sign, and each level changes an enhancement's factor by 0.1 (range 0.1..1.9).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from dropnas.data.operation_tables import NONE, Operation, Tables, tables

SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}

SubPolicy = tuple[tuple[str, float, int], tuple[str, float, int]]  # twice: operation, probability, level
Policy = tuple[SubPolicy, ...]

CIFAR: Policy = (
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

IMAGENET: Policy = (
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


def draw(policy: Policy, count: int, generator: torch.Generator) -> Tensor:
    """Draw two operations for each image, as numbers in the policy's list: int64 (count, 2); 0 is none.

    They are drawn on the device of the generator.
    """
    listed, device = _listed(policy), generator.device
    policies = torch.randint(len(policy), (count, 1), generator=generator, device=device)
    chances = torch.rand((count, 2), generator=generator, device=device)
    signs = torch.randint(2, (count, 2), generator=generator, device=device)
    slots = torch.arange(2, device=device)
    numbers = listed.numbers.to(device)[policies, slots, signs]
    return numbers.where(chances < listed.probabilities.to(device)[policies, slots], 0)


def make_tables(policy: Policy, height: int, width: int, device: str) -> None:
    """Make the tables for images of this size in advance, so that worker processes need not make their own."""
    tables(_listed(policy).operations, height, width, torch.device(device))


def augment(images: Tensor, policy: Policy, drawn: Tensor) -> Tensor:
    """Apply the drawn operations, int64 (B, 2), to uint8 images (B, 3, H, W) on the same device."""
    found = _tables(policy, images)
    for numbers in drawn.unbind(1):
        images = found.applied(images, numbers)
    return images


def augment_each(images: Sequence[Tensor], policy: Policy, drawn: Tensor) -> list[Tensor]:
    """Like `augment` for images (3, H, W) on the CPU, one by one, which is faster there for large images."""
    found = _tables(policy, images[0])
    return [found.applied_to_one(image, numbers) for image, numbers in zip(images, drawn.tolist(), strict=True)]


def _tables(policy: Policy, images: Tensor) -> Tables:
    return tables(_listed(policy).operations, images.shape[-2], images.shape[-1], images.device)


@dataclass(frozen=True)
class _Listed:
    """The distinct operations of a policy, and how its sub-policies use them.

    Attributes:
        operations: the distinct operations; the first one does nothing.
        numbers: int64 (25, 2, 2): for each sub-policy, the numbers of its first and second operation, with sign + and
            with sign -.
        probabilities: float32 (25, 2), the probabilities of the first and of the second operation.
    """

    operations: tuple[Operation, ...]
    numbers: Tensor
    probabilities: Tensor


@cache
def _listed(policy: Policy) -> _Listed:
    signed = [
        [[(name, level, sign if name in SIGNED else 1) for sign in (1, -1)] for name, _, level in pair]
        for pair in policy
    ]
    operations = (NONE, *dict.fromkeys(operation for pair in signed for signs in pair for operation in signs))
    numbers = [[[operations.index(operation) for operation in signs] for signs in pair] for pair in signed]
    probabilities = [[probability for _, probability, _ in pair] for pair in policy]
    return _Listed(operations, torch.tensor(numbers), torch.tensor(probabilities))
