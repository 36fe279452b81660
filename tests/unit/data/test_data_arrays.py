"""Loading prepared arrays, and the order of an epoch."""

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropnas.artifacts.dataset_file import Dataset
from dropnas.data import arrays
from dropnas.data.batches import epoch_order, sizes
from dropnas.data.config import DatasetConfig
from dropnas.errors import DropnasError
from tests.unit.data.small_sources import image_files, noise, write_folder

Make = Callable[[DatasetConfig], Path]


def colour_dataset(folder: Path, count: int = 20) -> np.ndarray:
    """A prepared dataset of coloured noise, and its images."""
    images = np.stack([noise(seed, 6, 5) for seed in range(count)])
    for split in ("train", "test"):
        np.save(folder / f"{split}_images.npy", images)
        np.save(folder / f"{split}_labels.npy", np.arange(count, dtype=np.int64) % 10)
    Dataset("cifar10", "arrays", 10, 3, 6, 5, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), count, count).write(folder)
    return images


@pytest.fixture
def digits(make: Make) -> Path:
    return make(DatasetConfig("digits", "bundled", train_images=50, test_images=30))


def test_batch_gathers_and_turns(tmp_path: Path) -> None:
    images = colour_dataset(tmp_path)
    loaded = arrays.load(tmp_path, "train")
    assert loaded.images.shape == (20, 3, 6, 5) and len(loaded) == 20 and loaded.classes == 10
    batch = loaded.batch(torch.tensor([7, 0, 7]))
    assert batch.dtype == torch.uint8 and batch.is_contiguous()
    assert np.array_equal(batch.numpy(), images[[7, 0, 7]].transpose(0, 3, 1, 2))
    assert loaded.labels[torch.tensor([7, 0])].tolist() == [7, 0]
    assert torch.equal(loaded.std, torch.tensor([0.2, 0.3, 0.4]))


def test_one_channel_becomes_three(digits: Path) -> None:
    loaded = arrays.load(digits, "test")
    assert loaded.images.shape == (30, 1, 8, 8)
    batch = loaded.batch(torch.tensor([3, 4]))
    assert batch.shape == (2, 3, 8, 8) and batch.is_contiguous()
    stored = np.load(digits / "test_images.npy")[3:5, :, :, 0]
    assert all(np.array_equal(batch[:, channel].numpy(), stored) for channel in range(3))


def resident() -> int:
    """The resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_loading_copies_nothing_and_changes_no_file(tmp_path: Path) -> None:
    images = np.lib.format.open_memmap(tmp_path / "train_images.npy", "w+", np.uint8, (200_000, 32, 32, 3))
    images.flush()  # 600 MB in a sparse file
    np.save(tmp_path / "train_labels.npy", np.zeros(200_000, dtype=np.int64))
    Dataset("cifar10", "arrays", 10, 3, 32, 32, (0.5,) * 3, (0.5,) * 3, 200_000, 2).write(tmp_path)
    before = resident()
    loaded = arrays.load(tmp_path, "train")
    assert resident() - before < 100 * 2**20
    loaded.images[5].fill_(7)
    assert not np.load(tmp_path / "train_images.npy", mmap_mode="r")[5].any()


def test_damaged_arrays_are_one_line(digits: Path) -> None:
    images = digits / "train_images.npy"
    whole = images.read_bytes()
    for damage in (whole[:-1], whole[:40], b"", b"nonsense" * 100):
        images.write_bytes(damage)
        with pytest.raises(
            DropnasError, match=r"train_images.npy: damaged array .*; prepare the dataset again"
        ) as caught:
            arrays.load(digits, "train")
        assert "\n" not in str(caught.value)
    images.unlink()
    with pytest.raises(DropnasError, match=r"train_images.npy: is missing"):
        arrays.load(digits, "train")
    arrays.load(digits, "test")


@pytest.mark.parametrize(
    ("file", "array"),
    [
        ("train_images", np.zeros((49, 8, 8, 1), np.uint8)),
        ("train_images", np.zeros((50, 8, 8, 3), np.uint8)),
        ("train_images", np.zeros((50, 8, 8, 1), np.float32)),
        ("train_labels", np.zeros(50, np.int32)),
        ("train_labels", np.zeros((50, 1), np.int64)),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(digits: Path, file: str, array: np.ndarray) -> None:
    expected = {"train_images": r"uint8 \(50, 8, 8, 1\)", "train_labels": r"int64 \(50,\)"}[file]
    np.save(digits / f"{file}.npy", array)
    with pytest.raises(DropnasError, match=rf"{file}.npy: holds .* does not fit dataset.json: {expected}"):
        arrays.load(digits, "train")


def test_pickled_array_is_refused(digits: Path) -> None:
    np.save(digits / "train_labels.npy", np.array([object()] * 50), allow_pickle=True)
    with pytest.raises(DropnasError, match="damaged array"):
        arrays.load(digits, "train")


def test_labels_outside_the_classes_are_refused(digits: Path) -> None:
    np.save(digits / "train_labels.npy", np.full(50, 10))
    with pytest.raises(DropnasError, match=r"label 10 of image 0 is outside 0\.\.9"):
        arrays.load(digits, "train")


def test_manifest_is_no_array(make: Make, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", image_files())
    with pytest.raises(DropnasError, match="is a manifest"):
        arrays.load(make(DatasetConfig("imagenet", "images", path=str(source))), "train")


@given(st.integers(2, 500), st.integers(2, 200))
def test_steps_cover_what_batch_norm_can_use(count: int, batch_size: int) -> None:
    parts = [len(part) for part in torch.split(torch.arange(count), batch_size)]
    assert sizes(count, batch_size) == [part for part in parts if part >= 2]


def test_steps_of_the_paper_and_of_too_few() -> None:
    assert len(sizes(50_000, 96)) * 76 == 39_596  # the release's number of search steps
    with pytest.raises(DropnasError, match="too few"):
        sizes(1, 96)


def test_order_is_a_permutation_of_its_own_for_each_seed_and_epoch() -> None:
    before = torch.get_rng_state()
    orders = {(seed, epoch): epoch_order(300, seed, epoch) for seed in range(3) for epoch in range(3)}
    assert all(sorted(order.tolist()) == list(range(300)) for order in orders.values())
    assert len({tuple(order.tolist()) for order in orders.values()}) == 9
    assert torch.equal(orders[1, 2], epoch_order(300, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
