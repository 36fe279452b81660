"""Small sources in the layouts that `dropnas.data` reads."""

import io
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image


def encode(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """An image file of uint8 pixels (H, W), (H, W, 3) or (H, W, 4: CMYK)."""
    mode = {2: "L", 3: "RGB"}[pixels.ndim] if pixels.ndim == 2 or pixels.shape[2] == 3 else "CMYK"
    stream = io.BytesIO()
    Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes()).save(stream, form)
    return stream.getvalue()


def noise(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def image_files() -> dict[str, bytes]:
    """A small ImageNet: two classes, training and validation, and every kind of file in ImageNet."""
    return {
        "train/n01/b.JPEG": encode(noise(1, 40, 50), "JPEG"),
        "train/n01/a.JPEG": encode(noise(2, 64, 48, 1), "JPEG"),
        "train/n01/c.png": encode(noise(3, 45, 45)),
        "train/n02/x.JPEG": encode(noise(4, 48, 60, 4), "JPEG"),
        "train/n02/y.jpg": encode(noise(5, 50, 41), "JPEG"),
        "train/n02/notes.txt": b"no image",
        "val/n01/v.JPEG": encode(noise(6, 70, 50), "JPEG"),
        "val/n02/w.JPEG": encode(noise(7, 50, 70), "JPEG"),
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_tar(path: Path, files: dict[str, bytes], mode: Literal["w", "w:gz"] = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
