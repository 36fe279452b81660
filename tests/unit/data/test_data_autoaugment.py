"""AutoAugment in groups against one image at a time.

Its policies and operations are compared with those of torchvision's transform and of Pillow.
"""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, InterpolationMode
from torchvision.transforms import autoaugment as reference

from dropnas.data import autoaugment
from dropnas.data.image_operations import GREY, OPERATIONS
from dropnas.training.seeding import generator
from tests.unit.data.small_sources import noise

POLICIES = [
    (autoaugment.CIFAR, autoaugment.cifar, AutoAugmentPolicy.CIFAR10),
    (autoaugment.IMAGENET, autoaugment.imagenet, AutoAugmentPolicy.IMAGENET),
]
Policy = tuple[autoaugment.SubPolicy, ...]
UNLEVELLED = {"AutoContrast", "Equalize", "Invert"}


def images_of(count: int, side: int = 32) -> Tensor:
    return torch.from_numpy(np.stack([noise(seed, side, side) // (1 + seed % 4) for seed in range(count)])).permute(
        0, 3, 1, 2
    )


@pytest.mark.parametrize(("policy", "_", "kind"), POLICIES)
def test_policies_are_the_published_ones(policy: Policy, _: object, kind: AutoAugmentPolicy) -> None:
    known = AutoAugment(kind).policies
    found = [
        tuple((name, chance, None if name in UNLEVELLED else level) for name, chance, level in pair) for pair in policy
    ]
    assert found == known


def apply_one(image: Tensor, name: str, level: int, sign: int) -> Tensor:
    """torchvision's own transform of one image."""
    magnitudes, signed = AutoAugment()._augmentation_space(10, (image.shape[1], image.shape[2]))[name]
    magnitude = float(magnitudes[level]) if magnitudes.ndim else 0.0
    applied: Tensor = reference._apply_op(
        image, name, magnitude * (sign if signed else 1), InterpolationMode.NEAREST, GREY
    )
    return applied


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operations_are_torchvisions(name: str) -> None:
    images = images_of(5)
    for level in range(10):
        for sign in (1, -1) if name in autoaugment.SIGNED else (1,):
            found = autoaugment.apply(images, name, level, sign)
            expected = torch.stack([apply_one(image, name, level, sign) for image in images])
            assert (found.int() - expected.int()).abs().max() <= 1, (level, sign)  # another rounding


@pytest.mark.parametrize(
    ("name", "level", "plain"),
    [
        ("Brightness", 9, lambda image: ImageEnhance.Brightness(image).enhance(1.9)),
        ("Color", 5, lambda image: ImageEnhance.Color(image).enhance(1.5)),
        ("Contrast", 3, lambda image: ImageEnhance.Contrast(image).enhance(1.3)),
        ("Sharpness", 9, lambda image: ImageEnhance.Sharpness(image).enhance(1.9)),
        ("Posterize", 9, lambda image: ImageOps.posterize(image, 4)),
        ("Solarize", 3, lambda image: ImageOps.solarize(image, 170)),
        ("AutoContrast", 0, ImageOps.autocontrast),
        ("Equalize", 0, ImageOps.equalize),
        ("Invert", 0, ImageOps.invert),
        ("TranslateX", 9, lambda image: shifted(image, 14)),
    ],
)
def test_operations_are_those_of_pillow(name: str, level: int, plain: object) -> None:
    """The original is written with Pillow; rounding may differ by two grey levels."""
    for image in images_of(4):
        found = autoaugment.apply(image[None], name, level, 1)[0].permute(1, 2, 0).numpy().astype(int)
        expected = np.asarray(plain(Image.fromarray(image.permute(1, 2, 0).numpy())))  # type: ignore[operator]
        assert np.abs(found - expected.astype(int)).max() <= 2


def shifted(image: Image.Image, pixels: int) -> Image.Image:
    result = Image.new("RGB", image.size, (128, 128, 128))
    result.paste(image, (pixels, 0))
    return result


def one_by_one(images: Tensor, policy: Policy, random: torch.Generator) -> Tensor:
    """The same draws, applied in a plain loop."""
    choices = torch.randint(25, (len(images), 1), generator=random)[:, 0].tolist()
    chances = torch.rand((len(images), 2), generator=random).tolist()
    signs = torch.randint(2, (len(images), 2), generator=random).tolist()
    results = []
    for image, choice, chance, sign in zip(images, choices, chances, signs, strict=True):
        for slot, (name, probability, level) in enumerate(policy[choice]):
            if chance[slot] < probability:
                image = autoaugment.apply(
                    image[None], name, level, 1 - 2 * sign[slot] if name in autoaugment.SIGNED else 1
                )[0]
        results.append(image)
    return torch.stack(results)


@pytest.mark.parametrize(("policy", "function", "_"), POLICIES)
@pytest.mark.parametrize("count", [1, 150])
def test_groups_do_what_a_loop_does(policy: object, function: object, _: object, count: int) -> None:
    images = images_of(count)
    copy, before = images.clone(), torch.get_rng_state()
    found = function(images, generator(count, "policy"))  # type: ignore[operator]
    assert found.dtype == torch.uint8 and torch.equal(found, one_by_one(images, policy, generator(count, "policy")))  # type: ignore[arg-type]
    assert torch.equal(images, copy) and torch.equal(torch.get_rng_state(), before)


def test_probabilities_and_signs() -> None:
    table = autoaugment._table(autoaugment.CIFAR)
    drawn = autoaugment._draw(50_000, table, generator(0, "policy"))
    counts = Counter(
        (slot, table.operations[index]) for slot in (0, 1) for index in drawn[:, slot].tolist() if index >= 0
    )
    expected: Counter[tuple[int, tuple[str, int, int]]] = Counter()
    for pair in autoaugment.CIFAR:
        for slot, (name, probability, level) in enumerate(pair):
            for sign in (1, -1):
                key = (slot, (name, level, sign if name in autoaugment.SIGNED else 1))
                expected[key] += 50_000 / 25 * probability / 2  # type: ignore[assignment]
    for key, mean in expected.items():
        assert abs(counts[key] - mean) <= 5 * mean**0.5, key
    assert set(counts) <= set(expected)
