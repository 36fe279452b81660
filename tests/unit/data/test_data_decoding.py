"""Decoding, compared with Pillow; the same on every instruction set."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dropnas.data import decoding
from dropnas.data.decoding import decode, resize
from tests.reference.plain_view import plain_view
from tests.unit.data.small_sources import encode, noise

DIGEST = """
import hashlib
import torch
from dropnas.data.decoding import resize
image = torch.arange(3 * 300 * 401).view(3, 300, 401).mul(2654435761).bitwise_right_shift(9).to(torch.uint8)
print(hashlib.sha256(resize(image, 224, 224).numpy().tobytes()).hexdigest())
print(torch.backends.cpu.get_cpu_capability())
"""


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3, 4]), st.booleans(), st.integers(0, 2))
def test_pixels_are_pillows(height: int, width: int, channels: int, progressive: bool, subsampling: int) -> None:
    pixels = noise(height, height, width, channels)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    stream = io.BytesIO()
    image = Image.frombytes(mode, (width, height), pixels.tobytes())
    image.save(stream, "JPEG", progressive=progressive, subsampling=subsampling)
    assert np.array_equal(decode(stream.getvalue()), by_pillow(stream.getvalue()))


def test_without_torchvisions_decoder_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(noise(0, 40, 50), "JPEG")
    known = decode(data)
    monkeypatch.setattr(decoding, "jpeg_decoder", lambda: None)
    assert torch.equal(decode(data), known)


def test_a_png_under_any_name_is_decoded() -> None:
    data = encode(noise(0, 20, 30))
    assert np.array_equal(decode(data), by_pillow(data))


@pytest.mark.parametrize("data", [b"", b"no image", encode(noise(0, 40, 50), "JPEG")[:-300]])
def test_what_cannot_be_decoded_is_said_in_pillows_words(data: bytes) -> None:
    with pytest.raises(OSError, match=r"cannot identify|truncated"):
        decode(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(32, 80))
def test_a_resized_image_is_pillows_up_to_rounding(height: int, width: int, size: int) -> None:
    image = torch.from_numpy(noise(height, height, width).transpose(2, 0, 1).copy())
    expected = plain_view(image, (0, 0, width, height), size)
    assert (resize(image, size, size).int() - expected.int()).abs().max() <= 2


def test_every_instruction_set_gives_the_same() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "ATEN_CPU_CAPABILITY": name},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for name in ("default", "avx2")
    ]
    digests, sets = zip(*found, strict=True)
    if len(set(sets)) == 1:
        pytest.skip(f"this processor has one instruction set only: {sets[0]}")
    assert len(set(digests)) == 1


def test_real_images_are_pillows(shared_data: Path) -> None:
    with tarfile.open(shared_data / "imagenet-sample.tar") as tar:
        members = [member for member in tar if member.isfile()][:50]
        images = [stream.read() for member in members if (stream := tar.extractfile(member))]
    assert len({hashlib.sha256(data).digest() for data in images}) == 50
    for data in images:
        assert np.array_equal(decode(data), by_pillow(data))
