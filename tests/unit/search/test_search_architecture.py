"""The mixing weights of Eq. 1 and alpha-adjust of Eq. 2 and 3."""

import math

import plain_dropnas as plain
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dropnas.search.architecture import (
    Alphas,
    alpha_adjust,
    alpha_std,
    entropy,
    initial_alphas,
    kept_softmax,
    mixtures,
)
from dropnas.space.spaces import ONE_SKIP, ORIGINAL
from dropnas.training.seeding import generator

VALUES = st.lists(st.floats(-3, 3), min_size=6, max_size=6)
EDGE = st.tuples(VALUES, VALUES, st.lists(st.booleans(), min_size=6, max_size=6))


def row(values: list[float]) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def dropped_mass(alphas: Tensor, kept: Tensor) -> float:
    return alphas.softmax(dim=-1)[~kept].sum().item()


@given(EDGE)
@settings(max_examples=60, deadline=None)
def test_the_mass_of_the_dropped_set_stays(edge: tuple[list[float], list[float], list[bool]]) -> None:
    old, new, kept = row(edge[0]), row(edge[1]), torch.tensor([edge[2]])
    assume(kept.any())
    adjusted = alpha_adjust(old, new, kept, "released")
    assert dropped_mass(adjusted, kept) == pytest.approx(dropped_mass(old, kept), abs=1e-12)
    assert torch.equal(adjusted[~kept], new[~kept])


@given(EDGE, st.sampled_from(["released", "equation-3", "off"]))
@settings(max_examples=60, deadline=None)
def test_alpha_adjust_agrees_with_the_plain_one(edge: tuple[list[float], list[float], list[bool]], mode: str) -> None:
    ours = alpha_adjust(row(edge[0]), row(edge[1]), torch.tensor([edge[2]]), mode)  # type: ignore[arg-type]
    assert ours[0].tolist() == pytest.approx(plain.adjust_edge(*edge, mode), abs=1e-12)


@given(EDGE)
@settings(max_examples=30, deadline=None)
def test_both_equations_agree_where_dropped_alphas_did_not_move(
    edge: tuple[list[float], list[float], list[bool]],
) -> None:
    old, kept = row(edge[0]), torch.tensor([edge[2]])
    new = torch.where(kept, row(edge[1]), old)
    first, second = (alpha_adjust(old, new, kept, mode) for mode in ("released", "equation-3"))
    assert torch.allclose(first, second, rtol=0, atol=1e-13)


def test_an_edge_that_dropped_nothing_stays() -> None:
    old, new = torch.randn(2, 14, 8, dtype=torch.float64, generator=generator(0, "alphas"))
    assert torch.equal(alpha_adjust(old, new, torch.ones(14, 8, dtype=torch.bool), "released"), new)


def test_single_precision_keeps_the_mass_to_its_rounding() -> None:
    draws = generator(1, "alphas")
    old = 1e-3 * torch.randn(14, 8, generator=draws)
    new = old + 3e-4 * torch.randn(14, 8, generator=draws)
    kept = torch.rand(14, 8, generator=draws) > 0.3
    adjusted = alpha_adjust(old, new, kept, "released").double()
    for edge in range(14):
        mass = dropped_mass(old[edge : edge + 1].double(), kept[edge : edge + 1])
        assert dropped_mass(adjusted[edge : edge + 1], kept[edge : edge + 1]) == pytest.approx(mass, abs=1e-9)


def test_dropped_operations_have_no_weight_and_no_gradient() -> None:
    draws = generator(2, "alphas")
    alphas = torch.randn(14, 8, dtype=torch.float64, generator=draws).requires_grad_()
    kept = torch.rand(14, 8, generator=draws) > 0.4
    kept[:, 2] = True
    weights = kept_softmax(alphas, kept)
    assert torch.allclose(weights, plain.kept_probabilities(alphas.detach(), kept), rtol=0, atol=1e-14)
    (weights * torch.randn(14, 8, dtype=torch.float64, generator=draws)).sum().backward()  # type: ignore[no-untyped-call]
    assert alphas.grad is not None
    assert (alphas.grad[~kept] == 0).all() and (alphas.grad[kept] != 0).any()


def test_mixtures_pair_each_kept_operation_with_its_weight() -> None:
    draws = generator(3, "alphas")
    alphas = Alphas(*torch.randn(2, 14, 6, generator=draws))
    kept = torch.rand(3, 14, 6, generator=draws) > 0.5
    kept[:, :, 0] = True
    found = mixtures(alphas, kept, (0, 1, 0))
    for cell, kind in enumerate((0, 1, 0)):
        expected = kept_softmax(alphas[kind], kept[cell])
        for edge in range(14):
            assert [index for index, _ in found[cell][edge]] == kept[cell, edge].nonzero().flatten().tolist()
            assert all(weight == expected[edge, index] for index, weight in found[cell][edge])


def test_alphas_start_small_and_random() -> None:
    alphas = initial_alphas(ORIGINAL, 1e-3, generator(0, "alphas"))
    again = initial_alphas(ORIGINAL, 1e-3, generator(0, "alphas"))
    assert alphas.normal.shape == alphas.reduce.shape == (14, 8)
    assert torch.equal(alphas.normal, again.normal) and not torch.equal(alphas.normal, alphas.reduce)
    assert alpha_std(alphas) == pytest.approx(1e-3, rel=0.15)
    assert initial_alphas(ONE_SKIP, 1e-3, generator(0, "alphas")).normal.shape == (14, 6)


def test_entropy_of_equal_and_of_certain_choices() -> None:
    assert entropy(torch.zeros(14, 8)) == pytest.approx(math.log(8))
    certain = torch.zeros(14, 8)
    certain[:, 3] = 200.0
    assert entropy(certain) == pytest.approx(0.0, abs=1e-12)
