"""AutoAugment on whole batches, compared with one image at a time.

Its policies and operations are compared with those of torchvision's transform and of Pillow.
"""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, InterpolationMode
from torchvision.transforms import autoaugment as reference

from dropnas.data import autoaugment, image_operations, operation_tables
from dropnas.data.image_operations import GREY_FILL, IMAGE_OPERATIONS
from dropnas.data.operation_tables import NONE, tables
from dropnas.training.seeding import generator
from tests.unit.data.small_sources import noise

POLICIES = [autoaugment.CIFAR_POLICY, autoaugment.IMAGENET]
SubPolicy = tuple[tuple[str, float, int], tuple[str, float, int]]


def images_of(count: int, side: int = 32) -> Tensor:
    return torch.from_numpy(np.stack([noise(seed, side, side) // (1 + seed % 4) for seed in range(count)])).permute(
        0, 3, 1, 2
    )


def published(policy: autoaugment.Policy) -> list[SubPolicy]:
    """torchvision's list of sub-policies; operations without a level get level 0."""
    policies: Any = AutoAugment(AutoAugmentPolicy(policy)).policies
    return [tuple((name, chance, level or 0) for name, chance, level in pair) for pair in policies]  # type: ignore[misc]


def test_policies_are_the_published_ones() -> None:
    """The first and last sub-policies, and a digest of all, so that a change in torchvision is noticed."""
    cifar, imagenet = map(published, POLICIES)
    digests = [hashlib.sha256(repr(policy).encode()).hexdigest()[:16] for policy in (cifar, imagenet)]
    assert digests == ["207f73fc62f21c92", "9ddca7732821d2a2"]
    assert cifar[0] == (("Invert", 0.1, 0), ("Contrast", 0.2, 6)) and len(cifar) == 25
    assert cifar[24] == (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0))
    assert imagenet[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)) and len(imagenet) == 25
    assert imagenet[24] == (("Equalize", 0.8, 0), ("Equalize", 0.6, 0))


def apply_one(image: Tensor, name: str, level: int, sign: int) -> Tensor:
    """torchvision's own transform, applied to one image."""
    magnitudes, signed = AutoAugment()._augmentation_space(10, (image.shape[1], image.shape[2]))[name]
    magnitude = float(magnitudes[level]) if magnitudes.ndim else 0.0
    applied: Tensor = reference._apply_op(
        image, name, magnitude * (sign if signed else 1), InterpolationMode.NEAREST, GREY_FILL
    )
    return applied


@pytest.mark.parametrize("name", sorted(IMAGE_OPERATIONS))
def test_operations_are_torchvisions(name: str) -> None:
    images = images_of(5)
    for level in range(10):
        for sign in (1, -1) if name in autoaugment.SIGNED else (1,):
            found = image_operations.apply(images, name, level, sign)
            expected = torch.stack([apply_one(image, name, level, sign) for image in images])
            assert (found.int() - expected.int()).abs().max() <= 1, (level, sign)  # another rounding


def tabulated(images: Tensor, *operation: Any) -> Tensor:
    """Apply one operation to all images through its tables; check that single images give the same pixels."""
    made = tables((NONE, operation), images.shape[2], images.shape[3], images.device)
    together = made.applied(images, torch.ones(len(images), dtype=torch.int64))
    assert torch.equal(torch.stack([made.applied_to_one(image, [1]) for image in images]), together)
    return together


@pytest.mark.parametrize("name", sorted(IMAGE_OPERATIONS))
@pytest.mark.parametrize("side", [8, 32, 64])
def test_tables_are_their_operations_to_the_pixel(name: str, side: int) -> None:
    images = torch.cat([images_of(5, side), images_of(2, side) // 128, torch.full((1, 3, side, side), 200).byte()])
    for level in range(10):
        for sign in (1, -1) if name in autoaugment.SIGNED else (1,):
            alone = [image_operations.apply(image[None], name, level, sign) for image in images]
            assert torch.equal(tabulated(images, name, level, sign), torch.cat(alone)), (level, sign)


@pytest.mark.parametrize("shape", [(3, 2), (7, 9)])
@pytest.mark.parametrize("name", sorted(IMAGE_OPERATIONS))
def test_images_of_any_size_go_through(name: str, shape: tuple[int, int]) -> None:
    images = images_of(4)[:, :, : shape[0], : shape[1]]
    found, expected = tabulated(images, name, 9, 1), image_operations.apply(images, name, 9, 1)
    assert torch.equal(found, expected)


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
        found = tabulated(image[None], name, level, 1)[0].permute(1, 2, 0).numpy().astype(int)
        expected = np.asarray(plain(Image.fromarray(image.permute(1, 2, 0).numpy())))  # type: ignore[operator]
        assert np.abs(found - expected.astype(int)).max() <= 2


def shifted(image: Image.Image, pixels: int) -> Image.Image:
    result = Image.new("RGB", image.size, (128, 128, 128))
    result.paste(image, (pixels, 0))
    return result


def one_by_one(images: Tensor, policy: autoaugment.Policy, random: torch.Generator) -> Tensor:
    """The same draws, applied in a plain loop."""
    choices = torch.randint(25, (len(images), 1), generator=random)[:, 0].tolist()
    chances = torch.rand((len(images), 2), generator=random).tolist()
    signs = torch.randint(2, (len(images), 2), generator=random).tolist()
    results = []
    for image, choice, chance, sign in zip(images, choices, chances, signs, strict=True):
        for slot, (name, probability, level) in enumerate(published(policy)[choice]):
            if chance[slot] < probability:
                image = image_operations.apply(
                    image[None], name, level, 1 - 2 * sign[slot] if name in autoaugment.SIGNED else 1
                )[0]
        results.append(image)
    return torch.stack(results)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("count", [1, 150])
def test_batches_get_what_a_loop_gives(policy: autoaugment.Policy, count: int) -> None:
    images = images_of(count)
    copy, before = images.clone(), torch.get_rng_state()
    found = autoaugment.augment(images, policy, autoaugment.draw(policy, count, generator(count, "policy")))
    assert found.dtype == torch.uint8 and torch.equal(found, one_by_one(images, policy, generator(count, "policy")))
    assert torch.equal(images, copy) and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("side", [32, 97])
def test_images_one_by_one_get_what_a_batch_gives(policy: autoaugment.Policy, side: int) -> None:
    """Also for the layout of decoders, in which the channels of a pixel are adjacent."""
    images, drawn = images_of(60, side), autoaugment.draw(policy, 60, generator(2, "policy"))
    expected = autoaugment.augment(images, policy, drawn)
    for laid_out in (images, images.contiguous(memory_format=torch.channels_last)):
        copy = laid_out.clone()
        found = autoaugment.augment_each(list(laid_out), policy, drawn)
        assert torch.equal(torch.stack(found), expected) and torch.equal(laid_out, copy)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_way_of_a_gpu_gives_the_same(policy: autoaugment.Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is computed for every image and then selected; on the meta device no value can be read."""
    images, drawn = images_of(150), autoaugment.draw(policy, 150, generator(1, "policy"))
    expected = autoaugment.augment(images, policy, drawn)
    autoaugment.augment(images.to("meta"), policy, drawn.to("meta"))
    monkeypatch.setattr(operation_tables, "_where", operation_tables._chosen)
    assert torch.equal(autoaugment.augment(images, policy, drawn), expected)


def test_probabilities_and_signs() -> None:
    operations = autoaugment._listed(autoaugment.CIFAR_POLICY).operations
    drawn = autoaugment.draw(autoaugment.CIFAR_POLICY, 50_000, generator(0, "policy"))
    counts = Counter((slot, operations[number]) for slot in (0, 1) for number in drawn[:, slot].tolist() if number)
    expected: Counter[tuple[int, tuple[str, int, int]]] = Counter()
    for pair in published(autoaugment.CIFAR_POLICY):
        for slot, (name, probability, level) in enumerate(pair):
            for sign in (1, -1):
                key = (slot, (name, level, sign if name in autoaugment.SIGNED else 1))
                expected[key] += 50_000 / 25 * probability / 2  # type: ignore[assignment]
    for key, mean in expected.items():
        assert abs(counts[key] - mean) <= 5 * mean**0.5, key
    assert set(counts) <= set(expected)
