"""Small sources of data sets: a parquet folder like Hugging Face's CIFAR-10, and a tar of images."""

import io
import tarfile
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from PIL import Image


def make_sources(root: Path) -> None:
    """Write a small parquet folder like Hugging Face's CIFAR-10, and a tar of images."""

    def png(number: int, side: int) -> bytes:
        stream = io.BytesIO()
        pixels = numpy.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue()

    folder = root / "sources" / "parquet"
    folder.mkdir(parents=True)
    for split, count in (("train", 20), ("test", 10)):
        rows = {
            "img": [{"bytes": png(i, 32), "path": None} for i in range(count)],
            "label": [i % 10 for i in range(count)],
        }
        pyarrow.parquet.write_table(pyarrow.table(rows), folder / f"{split}-00000-of-00001.parquet")
    with tarfile.open(root / "sources" / "images.tar", "w") as tar:
        for number in range(8):
            content = png(number, 40)
            member = tarfile.TarInfo(f"{'train' if number < 4 else 'val'}/class{number % 2}/{number}.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
