"""The three datasets from scikit-learn's digits, against the digits themselves."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dropnas.data import digits
from dropnas.data.config import DatasetConfig
from dropnas.data.splits import Labelled
from dropnas.errors import DropnasError


@pytest.fixture(scope="module")
def known() -> dict[bytes, int]:
    """The digit of each of scikit-learn's images."""
    bunch = load_digits()
    images = np.rint(bunch.images * 255 / 16 + 1e-9).astype(np.uint8)
    return {image.tobytes(): int(label) for image, label in zip(images, bunch.target, strict=True)}


def as_set(split: Labelled) -> set[bytes]:
    return {image.tobytes() for image in split.images}


def test_digits_are_the_real_ones_balanced_and_disjoint(known: dict[bytes, int]) -> None:
    arrays = digits.digits()
    for split, count in ((arrays.train, 1400), (arrays.test, 340)):
        assert split.images.shape == (count, 8, 8, 1) and split.images.dtype == np.uint8
        assert np.bincount(split.labels).tolist() == [count // 10] * 10
        assert [known[image.tobytes()] for image in split.images] == split.labels.tolist()
    assert not as_set(arrays.train) & as_set(arrays.test)
    assert len(as_set(arrays.train)) == 1400


@pytest.mark.parametrize("prefix", [10, 70, 300])
def test_any_prefix_is_balanced(prefix: int) -> None:
    for split in (digits.digits().train, digits.digits().test):
        assert np.ptp(np.bincount(split.labels[:prefix])) == 0


def test_pairs_are_two_digits_of_the_same_split_side_by_side(known: dict[bytes, int]) -> None:
    singles, pairs = digits.digits(), digits.digit_pairs()
    for split, single, count in ((pairs.train, singles.train, 60), (pairs.test, singles.test, 20)):
        assert split.images.shape == (100 * count, 8, 16, 1)
        assert np.bincount(split.labels).tolist() == [count] * 100
        allowed = as_set(single)
        for image, label in zip(split.images, split.labels, strict=True):
            left, right = image[:, :8].tobytes(), image[:, 8:].tobytes()
            assert (known[left], known[right]) == divmod(label, 10)
            assert left in allowed and right in allowed and left != right
        assert len(as_set(split)) == 100 * count


def test_enlarged_digits_are_bilinear() -> None:
    config = DatasetConfig("digits-224", "bundled", train_images=30, test_images=7)
    large, small = digits.digits_224(config), digits.digits()
    assert large.train.images.shape == (30, 224, 224, 1) and large.test.images.shape == (7, 224, 224, 1)
    assert large.train.labels.tolist() == small.train.labels[:30].tolist()
    source = torch.from_numpy(small.train.images[:30]).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.interpolate(source, size=(224, 224), mode="bilinear", align_corners=False)
    found = torch.from_numpy(large.train.images).permute(0, 3, 1, 2).double()
    assert (found - expected).abs().max() <= 0.5 + 1e-9


def test_other_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits._bundled()
    images[0, 3, 3] += 1
    monkeypatch.setattr(digits, "_bundled", lambda: (images, labels))
    with pytest.raises(DropnasError, match="not the expected ones"):
        digits.digits()


def test_a_missing_scikit_learn_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(DropnasError, match=r"has no .*digits\.csv\.gz"):
        digits.digits()
