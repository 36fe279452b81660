"""Batched augmentation against a plain loop over images."""

from collections import Counter

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dropnas.data import augment
from dropnas.training.seeding import generator


def random_crop(images: Tensor, padding: int, random: torch.Generator) -> Tensor:
    return augment.crop(images, padding, augment.draw_crops(len(images), padding, random))


def random_flip(images: Tensor, random: torch.Generator) -> Tensor:
    return augment.flip(images, augment.draw_flips(len(images), random))


def random_cutout(images: Tensor, side: int, random: torch.Generator) -> Tensor:
    return augment.cutout(images, side, augment.draw_holes(len(images), *images.shape[2:], random))


shapes = st.tuples(st.integers(1, 6), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))


def images_of(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8))


def windows(image: Tensor, padding: int) -> dict[bytes, list[tuple[int, int]]]:
    """All crops of an image, by their bytes, each with the positions that produce it."""
    channels, height, width = image.shape
    padded = np.zeros((channels, height + 2 * padding, width + 2 * padding), dtype=np.uint8)
    padded[:, padding : padding + height, padding : padding + width] = image.numpy()
    found: dict[bytes, list[tuple[int, int]]] = {}
    for y in range(2 * padding + 1):
        for x in range(2 * padding + 1):
            found.setdefault(padded[:, y : y + height, x : x + width].tobytes(), []).append((y, x))
    return found


@settings(max_examples=50, deadline=None)
@given(shapes, st.integers(0, 4), st.integers(0, 1000))
def test_crop_is_a_window_of_the_padded_image(shape: tuple[int, ...], padding: int, seed: int) -> None:
    images = images_of(shape, seed)
    for image, cropped in zip(images, random_crop(images, padding, generator(seed, "crop")), strict=True):
        assert cropped.numpy().tobytes() in windows(image, padding)


def test_crop_places_are_uniform_and_per_image() -> None:
    image = images_of((1, 3, 8, 8), 0)
    places = windows(image[0], 2)
    crops = random_crop(image.expand(10_000, -1, -1, -1), 2, generator(0, "crop"))
    counts = Counter(places[crop.numpy().tobytes()][0] for crop in crops)
    assert len(counts) == 25 and max(abs(count - 400) for count in counts.values()) < 5 * 400**0.5


@settings(max_examples=50, deadline=None)
@given(shapes, st.integers(0, 1000))
def test_flip_mirrors_or_leaves(shape: tuple[int, ...], seed: int) -> None:
    images = images_of(shape, seed)
    for image, flipped in zip(images, random_flip(images, generator(seed, "flip")), strict=True):
        assert np.array_equal(flipped, image) or np.array_equal(flipped, image.numpy()[:, :, ::-1])


def test_flip_takes_half() -> None:
    images = torch.arange(2, dtype=torch.uint8).expand(10_000, 1, 1, 2)
    flipped = random_flip(images, generator(0, "flip"))[:, 0, 0, 0].sum()
    assert abs(int(flipped) - 5000) < 250


def holes(height: int, width: int, side: int) -> dict[bytes, int]:
    """All holes of Cutout of one size, by their bytes, with the number of centres of each, by the published loop."""
    found: dict[bytes, int] = {}
    for y in range(height):
        for x in range(width):
            mask = np.ones((height, width), dtype=bool)
            top, left = y - side // 2, x - side // 2
            mask[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = False
            found[mask.tobytes()] = found.get(mask.tobytes(), 0) + 1
    return found


@settings(max_examples=50, deadline=None)
@given(shapes, st.integers(1, 12), st.integers(0, 1000))
def test_cutout_makes_one_hole_in_all_channels(shape: tuple[int, ...], side: int, seed: int) -> None:
    images = images_of(shape, seed).float()
    kept = random_cutout(images, side, generator(seed, "cutout"))
    allowed = holes(shape[2], shape[3], side)
    for image, cut in zip(images, kept, strict=True):
        mask = (cut[0] != 0).numpy()
        assert mask.tobytes() in allowed
        assert torch.equal(cut, image * torch.from_numpy(mask))


def test_cutout_centres_are_uniform() -> None:
    cut = random_cutout(torch.ones(20_000, 1, 6, 5), 2, generator(0, "cutout"))
    counts = Counter((image != 0).numpy().tobytes() for image in cut[:, 0])
    allowed = holes(6, 5, 2)
    assert set(counts) == set(allowed)
    for mask, ways in allowed.items():
        expected = 20_000 * ways / 30
        assert abs(counts[mask] - expected) < 5 * expected**0.5


def test_normaliser_overwrites_a_batch_by_the_next_of_its_shape() -> None:
    mean, std = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.3, 0.4])
    normalise = augment.Normaliser(mean, std)
    batches = [
        torch.randint(256, (count, 3, 5, 4), dtype=torch.uint8, generator=generator(0, "x")) for count in (4, 4, 2)
    ]
    found = []
    for images in batches:
        found.append(normalise(images))
        assert torch.equal(found[-1], augment.normalise(images, mean, std))
    assert found[0] is found[1] and found[2].shape == (2, 3, 5, 4)


def test_normalise_is_the_formula() -> None:
    images, mean, std = images_of((4, 3, 5, 6), 1), torch.tensor([0.1, 0.5, 0.7]), torch.tensor([0.2, 0.3, 0.9])
    expected = (images.numpy() / 255 - mean.numpy()[:, None, None]) / std.numpy()[:, None, None]
    found = augment.normalise(images, mean, std)
    assert found.dtype == torch.float32 and np.allclose(found, expected, atol=1e-6)


def test_only_the_given_generator_is_drawn_from() -> None:
    images, before = images_of((4, 3, 8, 8), 2), torch.get_rng_state()
    first, second = (
        random_cutout(random_flip(random_crop(images, 4, random), random).float(), 4, random)
        for random in (generator(5, "augmentation"), generator(5, "augmentation"))
    )
    assert torch.equal(first, second) and torch.equal(torch.get_rng_state(), before)
    other = random_crop(images, 4, generator(6, "augmentation"))
    assert not torch.equal(other, random_crop(images, 4, generator(5, "augmentation")))


def test_inputs_are_left_as_they_are() -> None:
    images, random = images_of((4, 3, 8, 8), 3), generator(0, "x")
    copy = images.clone()
    random_crop(images, 4, random)
    random_flip(images, random)
    random_cutout(images, 4, random)
    assert torch.equal(images, copy)
