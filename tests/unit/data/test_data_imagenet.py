"""Decoding, cropping and batching for the transfer."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from dropnas.data import imagenet
from dropnas.data.config import DatasetConfig
from dropnas.data.imagenet import ImageSource, TestTransform, TrainTransform, batches
from dropnas.errors import DropnasError
from dropnas.training.seeding import generator
from tests.reference.plain_view import plain_view
from tests.unit.data.small_sources import image_files, noise, write_folder, write_tar

Make = Callable[[DatasetConfig], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "in", image_files())


@pytest.fixture
def prepared(make: Make, folder: Path) -> Path:
    return make(DatasetConfig("imagenet", "images", path=str(folder)))


def collect(source: ImageSource, order: Tensor, size: int = 2, **options: int) -> list[tuple[Tensor, Tensor]]:
    transform = TrainTransform(32, seed=3, epoch=5)
    return list(batches(source, transform, order, size, **options))


def same(left: list[tuple[Tensor, Tensor]], right: list[tuple[Tensor, Tensor]]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_every_kind_of_file_is_decoded(prepared: Path, folder: Path) -> None:
    source = ImageSource(prepared, "train")
    names = ["n01/a.JPEG", "n02/x.JPEG", "n01/b.JPEG", "n02/y.jpg", "n01/c.png"]  # grey, CMYK, colour, colour, PNG
    assert len(source) == 5 and source.classes == 2 and source.labels.tolist() == [0, 1, 0, 1, 0]
    for index, name in enumerate(names):
        with Image.open(folder / "train" / name) as image:
            expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        pixels = source.image(index)
        assert pixels.dtype == torch.uint8 and np.array_equal(pixels, expected)
    assert torch.allclose(source.mean, torch.tensor([0.485, 0.456, 0.406]))


def test_tar_gives_what_the_folder_gives(make: Make, prepared: Path, tmp_path: Path) -> None:
    tar = make(DatasetConfig("imagenet", "images", path=str(write_tar(tmp_path / "in.tar", image_files()))))
    order = torch.tensor([4, 0, 3, 1, 2])
    assert same(collect(ImageSource(prepared, "train"), order), collect(ImageSource(tar, "train"), order, workers=2))


def test_workers_start_rank_and_batch_change_no_pixel(prepared: Path) -> None:
    source, order = (
        ImageSource(prepared, "train"),
        torch.arange(5).repeat(5)[torch.randperm(25, generator=generator(0, "x"))],
    )
    before = torch.get_rng_state()
    whole = collect(source, order)
    assert [len(labels) for _, labels in whole] == [2] * 12  # the last image, alone in its batch, is left out
    assert [labels.tolist() for _, labels in whole] == [
        source.labels[part].tolist() for part in torch.split(order[:24], 2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert same(collect(source, order, workers=2), whole)
    assert same(collect(source, order, start=7), whole[7:])
    for rank in range(3):
        assert same(collect(source, order, rank=rank, world=3), whole[rank::3])
        assert same(collect(source, order, start=6, rank=rank, world=3, workers=1), whole[6 + rank :: 3])
    images, _ = collect(source, order[3:5])[0]
    index = order[3]
    assert torch.equal(images[0], TrainTransform(32, 3, 5)(source.image(int(index)), int(index)))


def test_each_seed_epoch_and_index_has_its_own_draw(prepared: Path) -> None:
    image = ImageSource(prepared, "train").image(2)
    views = {
        TrainTransform(32, seed, epoch)(image, index).numpy().tobytes()
        for seed in range(2)
        for epoch in range(2)
        for index in range(2)
    }
    assert len(views) == 8


def test_train_view_is_the_box_and_perhaps_a_flip(prepared: Path) -> None:
    """Compared with Pillow, which rounds slightly differently."""
    image, flips = ImageSource(prepared, "train").image(0), 0
    for index in range(60):
        box = imagenet.random_box(image.shape[2], image.shape[1], generator(1, "image", 0, index))
        expected = plain_view(image, box, 24)
        found = TrainTransform(24, 1, 0)(image, index)
        as_it_is, flipped = ((view.int() - expected.int()).abs().max() for view in (found, found.flip(2)))
        assert min(as_it_is, flipped) <= 2 < 20 < max(as_it_is, flipped)
        flips += int(flipped <= 2)
    assert 15 <= flips <= 45


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 10_000))
def test_box_lies_in_the_image(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = imagenet.random_box(width, height, generator(seed, "box"))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    if min(width, height) >= 100 and max(width, height) < 1.3 * min(width, height):
        assert 0.07 < (right - left) * (bottom - top) / (width * height) <= 1
        assert 0.74 < (right - left) / (bottom - top) < 1.35


def test_boxes_have_torchvisions_distribution() -> None:
    """Mean area, ratio and position, compared with RandomResizedCrop; both from 3,000 draws."""
    image = torch.zeros(3, 300, 400, dtype=torch.uint8)
    crop = v2.RandomResizedCrop(224)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        known = [crop.make_params([image]) for _ in range(3000)]
    theirs = np.array([(k["left"], k["top"], k["left"] + k["width"], k["top"] + k["height"]) for k in known], float)
    ours = np.array([imagenet.random_box(400, 300, generator(seed, "box")) for seed in range(3000)], float)

    def summary(boxes: np.ndarray) -> np.ndarray:
        w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        columns = np.stack([w * h / 120_000, np.log(w / h), boxes[:, 0] / 400, boxes[:, 1] / 300])
        return np.concatenate([columns.mean(axis=1), columns.std(axis=1)])

    assert np.abs(summary(ours) - summary(theirs)).max() < 0.025


@pytest.mark.parametrize(("height", "width"), [(100, 140), (140, 100), (57, 57), (33, 97), (300, 20)])
def test_test_view_is_torchvisions(height: int, width: int) -> None:
    """Equal up to rounding, because torchvision resizes with Pillow here."""
    image = Image.fromarray(noise(height, height, width))
    known = v2.Compose([v2.Resize(64, v2.InterpolationMode.BILINEAR), v2.CenterCrop(56), v2.PILToTensor()])
    found = TestTransform(56)(v2.functional.pil_to_tensor(image), 0)
    assert found.shape == (3, 56, 56) and (found.int() - known(image).int()).abs().max() <= 2


def test_prepared_arrays_are_read_like_image_files(make: Make) -> None:
    out = make(DatasetConfig("digits-224", "bundled", train_images=12, test_images=10))
    source = ImageSource(out, "train")
    stored = np.load(out / "train_images.npy")
    assert np.array_equal(source.image(3), np.repeat(stored[3].transpose(2, 0, 1), 3, axis=0))
    assert same(collect(source, torch.arange(12), workers=1), collect(source, torch.arange(12)))
    tested = list(batches(ImageSource(out, "test"), TestTransform(56), torch.arange(10), 4))
    assert [images.shape for images, _ in tested] == [(4, 3, 56, 56), (4, 3, 56, 56), (2, 3, 56, 56)]


@pytest.mark.parametrize("workers", [0, 1])
def test_changed_image_is_one_line(prepared: Path, folder: Path, workers: int) -> None:
    path = folder / "train/n01/b.JPEG"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(DropnasError, match=r"train/n01/b.JPEG: changed since it was prepared") as caught:
        collect(ImageSource(prepared, "train"), torch.arange(5), workers=workers)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_truncated_image_is_one_line(make: Make, folder: Path) -> None:
    path = folder / "train/n01/b.JPEG"
    path.write_bytes(path.read_bytes()[:-700])  # its header is intact, so the preparation accepts it
    out = make(DatasetConfig("imagenet", "images", path=str(folder)))
    with pytest.raises(DropnasError, match=r"b.JPEG: cannot be decoded"):
        ImageSource(out, "train").image(2)


def test_moved_images_are_one_line_until_the_new_place_is_given(prepared: Path, folder: Path) -> None:
    moved = folder.with_name("elsewhere")
    shutil.move(folder, moved)
    with pytest.raises(DropnasError, match=r"cannot be reached .*; set `path` of the dataset"):
        ImageSource(prepared, "train")
    assert len(ImageSource(prepared, "train", location=str(moved)).image(0)) == 3


def test_damaged_manifest_is_one_line(prepared: Path) -> None:
    path = prepared / "train_manifest.npy"
    rows = np.load(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DropnasError, match=r"train_manifest.npy: damaged array"):
        ImageSource(prepared, "train")
    for wrong in (rows[:3], rows["label"], rows[["path", "label"]]):
        np.save(path, wrong)
        with pytest.raises(DropnasError, match=r"train_manifest.npy: (holds|is not a manifest)"):
            ImageSource(prepared, "train")
    rows["label"][1] = 2
    np.save(path, rows)
    with pytest.raises(DropnasError, match=r"label 2 of image 1 is outside 0\.\.1"):
        ImageSource(prepared, "train")


def test_dead_worker_is_one_line(prepared: Path) -> None:
    class Deadly:
        def __call__(self, image: Tensor, index: int) -> Tensor:
            raise SystemExit(9)

    with pytest.raises(DropnasError, match="a process that decodes images died"):
        list(batches(ImageSource(prepared, "train"), Deadly(), torch.arange(4), 2, workers=1))


def test_imagenet_sample(make: Make, shared_data: Path) -> None:
    out = make(
        DatasetConfig(
            "imagenet", "images", train_images=20, test_images=20, path=str(shared_data / "imagenet-sample.tar")
        )
    )
    source = ImageSource(out, "train")
    transform = TrainTransform(224, 0, 0)
    images, labels = next(iter(batches(source, transform, torch.arange(20), 16)))
    assert images.shape == (16, 3, 224, 224) and labels.tolist() == list(range(16))
    assert 60 < images.float().mean() < 180


def test_a_run_on_the_cpu_pins_nothing_where_there_is_a_gpu(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bool] = []

    class Loader(imagenet.DataLoader):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, pin_memory: bool, **options: object) -> None:
            given.append(pin_memory)
            super().__init__(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(imagenet, "DataLoader", Loader)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for started in (False, True):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda started=started: started)
        collect(ImageSource(prepared, "train"), torch.arange(2))
    assert given == [False, True]
