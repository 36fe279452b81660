"""Dropout that follows from keys: its bits compared with Python's integers, its rate, and independent streams."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dropnas.search.strategies.skip_dropout import SkipDropout, of_rate, random_bits
from dropnas.training.seeding import generator

COUNT = 2**16


def plain_hash(value: int) -> int:
    """lowbias32 on unsigned integers."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        value = ((value ^ (value >> shift)) * factor) % 2**32
    return value ^ (value >> 16)


def key_of(value: int) -> Tensor:
    return torch.tensor(value, dtype=torch.int32)


def dropout(key: int, rate: float, whole: bool = False) -> SkipDropout:
    module = SkipDropout(whole)
    threshold, scale = of_rate(rate)
    module.key, module.threshold, module.scale = key_of(key), torch.tensor(threshold).short(), torch.tensor(scale)
    return module


@pytest.mark.parametrize("key", [0, 1, -1, 123456789, -(2**31), 2**31 - 1])
def test_bits_are_the_halves_of_the_hash(key: int) -> None:
    words = [plain_hash(plain_hash(number) ^ (key % 2**32)) for number in range(50)]
    halves = [half for word in words for half in (word % 2**16, word // 2**16)]
    assert [bits % 2**16 for bits in random_bits(key_of(key), 99).tolist()] == halves[:99]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.7, 0.999])
def test_the_rate_is_met_and_the_mean_kept(rate: float) -> None:
    out = dropout(7, rate)(torch.ones(4, 4, 64, 64))
    deviation = math.sqrt(rate * (1 - rate) / COUNT)
    assert float((out == 0).double().mean()) == pytest.approx(rate, abs=4 * deviation + 1e-5)
    kept = out[out != 0]
    assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - rate)))


@pytest.mark.parametrize(("first", "second"), [(0, 1), (5, 5 + 2**16), (3, -3), (1, 2**30)])
def test_streams_of_two_keys_are_independent(first: int, second: int) -> None:
    streams = [(random_bits(key_of(key), COUNT) >= 0).double() - 0.5 for key in (first, second)]
    for shift in (0, 1, 2, 64):
        assert abs(float((streams[0] * streams[1].roll(shift)).mean())) < 4 * 0.25 / math.sqrt(COUNT)


@pytest.mark.parametrize("shift", [1, 2, 3, 64, 4096])
def test_elements_of_a_stream_are_independent(shift: int) -> None:
    bits = random_bits(key_of(11), COUNT).double() / 2**15
    assert abs(float((bits * bits.roll(shift)).mean())) < 4 / 3 / math.sqrt(COUNT)
    counts = torch.histc(bits, 64, -1, 1)
    assert float(((counts - COUNT / 64).square() / (COUNT / 64)).sum()) < 63 + 4 * math.sqrt(126)


def test_all_of_an_output_can_be_dropped_at_once() -> None:
    keys = torch.randint(2**31, (2000,), generator=generator(0, "keys")).tolist()
    means = [float(dropout(key, 0.3, whole=True)(torch.ones(1, 2, 3, 3)).mean()) for key in keys]
    assert sorted(set(means)) == pytest.approx([0.0, 1 / 0.7])
    assert means.count(0.0) / len(means) == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 2000))


def test_the_gradient_passes_where_elements_are_kept() -> None:
    images = torch.randn(2, 3, 5, 5, generator=generator(0, "images")).requires_grad_()
    out: Any = dropout(3, 0.5)(images)
    out.sum().backward()
    assert images.grad is not None and torch.equal(images.grad, torch.where(out == 0, 0.0, 2.0))
