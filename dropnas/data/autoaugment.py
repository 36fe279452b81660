"""AutoAugment (Cubuk et al., CVPR 2019): the policies found on CIFAR-10 (used for CIFAR-100 too) and on ImageNet.

Design choices: the policies are torchvision's. Each image draws one of 25 sub-policies, and each of its two operations
is applied with its own probability. Operations are drawn in advance, as indices, for a batch or an epoch.
`dropnas.data.operation_tables` applies them to a batch or image by image, with identical results. Levels are the
ten uniform steps of the AutoAugment paper. Geometric operations and the four enhancements (Brightness, Color, Contrast,
Sharpness) get a random sign. The factor of an enhancement is 1 plus or minus a tenth of the level, from 0.1 to 1.9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from dropnas.data.operation_tables import NONE, Operation, Tables, tables

SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}

Policy = Literal["cifar10", "imagenet"]  # torchvision's names
CIFAR_POLICY: Policy = "cifar10"
IMAGENET: Policy = "imagenet"


def draw(policy: Policy, count: int, generator: torch.Generator) -> Tensor:
    """Draw two operations for each image, as indices into the policy's list: int64 (count, 2); 0 does nothing.

    The indices are drawn on the generator's device.
    """
    listed, device = _listed(policy), generator.device
    policies = torch.randint(len(listed.numbers), (count, 1), generator=generator, device=device)
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
    """Like `augment`, but for one image (3, H, W) at a time; on a CPU this is faster for large images."""
    found = _tables(policy, images[0])
    return [found.applied_to_one(image, numbers) for image, numbers in zip(images, drawn.tolist(), strict=True)]


def _tables(policy: Policy, images: Tensor) -> Tables:
    return tables(_listed(policy).operations, images.shape[-2], images.shape[-1], images.device)


@dataclass(frozen=True)
class _Listed:
    """The distinct operations of a policy, starting with one that does nothing, and how its sub-policies use them."""

    operations: tuple[Operation, ...]
    numbers: Tensor  # int64 (25, 2, 2): indices into `operations`, by sub-policy, slot and sign (+, -)
    probabilities: Tensor  # float32 (25, 2): by sub-policy and slot


@cache
def _listed(policy: Policy) -> _Listed:
    from torchvision.transforms import AutoAugment, AutoAugmentPolicy  # imported late, because few trainings need it

    published = AutoAugment(AutoAugmentPolicy(policy)).policies  # pairs of (operation, probability, level or None)
    signed = [
        [[(name, level or 0, sign if name in SIGNED else 1) for sign in (1, -1)] for name, _, level in pair]
        for pair in published
    ]
    operations = (NONE, *dict.fromkeys(operation for pair in signed for signs in pair for operation in signs))
    numbers = [[[operations.index(operation) for operation in signs] for signs in pair] for pair in signed]
    probabilities = [[probability for _, probability, _ in pair] for pair in published]
    return _Listed(operations, torch.tensor(numbers), torch.tensor(probabilities))
