"""Weighted sums of equal maps for many edges, compared with single sums in double precision."""

import pytest
import torch
from torch import Tensor

from dropnas.search.engine import layout
from dropnas.search.engine.parameter_free import mix_parameter_free
from dropnas.training.seeding import generator

SEEDS, EDGES, MAPS = 2, 3, 4


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "values"), dtype=torch.float64)


def passed(dtype: torch.dtype, wide: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """The sums and their derivatives in weights and maps, with numbers that all types can represent."""
    weights = drawn(SEEDS, EDGES, MAPS, seed=0).float().to(wide).requires_grad_()
    maps = [drawn(2, 3, 5, SEEDS * 6, seed=1 + number).bfloat16().to(dtype).requires_grad_() for number in range(MAPS)]
    upstream = [drawn(2, 3, 5, SEEDS * 6, seed=10 + edge).bfloat16().to(dtype) for edge in range(EDGES)]
    sums = mix_parameter_free(weights, maps)
    return list(sums), list(torch.autograd.grad(sums, [weights, *maps], upstream))


def test_each_edge_has_its_own_weighted_sum() -> None:
    sums, _ = passed(torch.float64, torch.float64)
    weights = drawn(SEEDS, EDGES, MAPS, seed=0).float().double()
    maps = [drawn(2, 3, 5, SEEDS * 6, seed=1 + number).bfloat16().double() for number in range(MAPS)]
    for edge, found in enumerate(sums):
        of_channels = weights[:, edge].repeat_interleave(6, dim=0)  # (K * C, maps)
        expected = sum(of_channels[:, number] * each for number, each in enumerate(maps))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_its_derivatives_are_those_of_differences() -> None:
    weights = drawn(1, 2, 2, seed=0).requires_grad_()
    maps = [drawn(1, 2, 2, 2, seed=1 + number).requires_grad_() for number in range(2)]
    assert torch.autograd.gradcheck(lambda weights, *maps: mix_parameter_free(weights, maps), (weights, *maps))


def test_a_gpu_adds_up_many_parts_of_the_weights_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    (in_weights, *_), products = passed(torch.float64, torch.float64)[1], list[tuple[int, ...]]()
    monkeypatch.setattr(layout, "on_cpu", lambda maps: False)
    multiply = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda left, right: products.append(left.shape) or multiply(left, right))
    torch.testing.assert_close(passed(torch.float64, torch.float64)[1][0], in_weights, rtol=1e-12, atol=1e-12)
    assert products == [(4, EDGES, 45)] * SEEDS  # of 180 values for each supernet


def test_the_weights_derivative_is_not_rounded_to_bf16() -> None:
    ours, exact = passed(torch.bfloat16, torch.float32)[1][0], passed(torch.float64, torch.float64)[1][0]
    assert (ours.double() - exact).norm() < 2**-20 * exact.norm()


@pytest.mark.parametrize("part", [0, 1], ids=["sums", "derivatives"])
def test_maps_in_bf16_round_no_more_than_their_sums(part: int) -> None:
    """Plain bf16 weights would be wrong by up to 2**-9 of their value, which the sums of differing maps reveal."""
    ours, exact = passed(torch.bfloat16, torch.float32)[part], passed(torch.float64, torch.float64)[part]
    for found, expected in zip(ours, exact, strict=True):
        assert (found.double() - expected).norm() < 2**-8 * expected.norm()


def test_small_differences_between_weights_are_kept_in_bf16() -> None:
    """The sum of a map and its opposite with weights that are the same in bf16."""
    maps = drawn(1, 8, 8, 16, seed=1).bfloat16()
    weights = torch.tensor([[[1.0 + 2**-12, 1.0]]])
    (found,) = mix_parameter_free(weights, [maps, -maps])
    torch.testing.assert_close(found.float(), maps.float() * 2**-12, rtol=2**-6, atol=0)
