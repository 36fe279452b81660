"""Masks: their probabilities and distribution, and that every group keeps an operation."""

from collections import Counter
from collections.abc import Sequence

import plain_dropnas as plain
import pytest
import torch
from scipy.stats import chisquare

from dropnas.search.config import PRESETS, RATE_AS_PROXYLESSNAS, RATE_AS_SNAS, DropoutOptions
from dropnas.search.dropout import drop_groups, drop_probabilities, sample_kept, sample_masks
from dropnas.space.spaces import EDGES, ONE_SKIP, ORIGINAL, SPACES, THREE_SKIP
from dropnas.training.seeding import generator

HIGH = {"rate_parameterised": 0.6**4, "rate_non_parameterised": 0.4**4}


def test_the_papers_rate_drops_with_the_printed_probability() -> None:
    assert drop_probabilities(DropoutOptions(), ORIGINAL).tolist() == pytest.approx([0.074] * 8, abs=5e-4)


@pytest.mark.parametrize(("rate", "probability"), [(RATE_AS_SNAS, 0.875), (RATE_AS_PROXYLESSNAS, 0.75), (0.0, 0.0)])
def test_rates_that_represent_other_methods(rate: float, probability: float) -> None:
    options = DropoutOptions(rate_parameterised=rate, rate_non_parameterised=rate)
    assert drop_probabilities(options, THREE_SKIP).tolist() == pytest.approx([probability] * 8)


def test_each_group_has_its_own_rate() -> None:
    options = DropoutOptions(rate_parameterised=1e-4, rate_non_parameterised=1e-5)
    found = drop_probabilities(options, ORIGINAL).tolist()
    assert found == pytest.approx([1e-4 ** (1 / 4)] * 4 + [1e-5 ** (1 / 4)] * 4)


@pytest.mark.parametrize(
    ("options", "exponents"),
    [
        ({}, [1 / 4] * 4 + [1 / 2] * 2),
        ({"drop_probability": "released"}, [1 / 4] * 6),
        ({"grouping": "one-group"}, [1 / 4] * 6),
        ({"grouping": "one-group-own-rate"}, [1 / 6] * 6),
    ],
)
def test_exponent_of_the_rate_in_one_skip(options: dict[str, str], exponents: list[float]) -> None:
    found = drop_probabilities(DropoutOptions(**options), ONE_SKIP).tolist()  # type: ignore[arg-type]
    assert found == pytest.approx([3e-5**exponent for exponent in exponents])


def test_no_grouping_is_one_group_of_eight_at_the_same_probability() -> None:
    options = PRESETS["no-grouping"]
    assert [list(group) for group in drop_groups(options, ORIGINAL)] == [list(range(8))]
    assert torch.equal(drop_probabilities(options, ORIGINAL), drop_probabilities(DropoutOptions(), ORIGINAL))


@pytest.mark.parametrize("space", ["original", "1-skip"])
@pytest.mark.parametrize("grouping", ["groups", "one-group"])
def test_masks_follow_the_exact_distribution(space: str, grouping: str) -> None:
    options = DropoutOptions(grouping=grouping, **HIGH)  # type: ignore[arg-type]
    probabilities = drop_probabilities(options, SPACES[space])
    groups = drop_groups(options, SPACES[space])
    masks = sample_masks(3000, probabilities, groups, generator(0, "masks")).flatten(0, 1)
    counted = Counter(map(tuple, masks.tolist()))
    assert goodness(counted, groups, probabilities.tolist()) > 1e-3
    shifted = (probabilities * 0.97).tolist()
    assert goodness(counted, groups, shifted) < 1e-3, "the test would not notice a wrong probability"


def goodness(counted: Counter[tuple[bool, ...]], groups: Sequence[Sequence[int]], p: list[float]) -> float:
    """The p-value of the counts under the exact distribution, with rare masks combined."""
    expected = plain.mask_probabilities(groups, p)
    assert set(counted) <= set(expected), "a mask that may not occur"
    total = sum(counted.values())
    common = [mask for mask, q in expected.items() if q * total >= 10]
    observed = [counted[mask] for mask in common]
    predicted = [expected[mask] * total for mask in common]
    observed.append(total - sum(observed))
    predicted.append(total - sum(predicted))
    if predicted[-1] < 1:
        observed.pop(), predicted.pop()
        predicted = [value * sum(observed) / sum(predicted) for value in predicted]
    return float(chisquare(observed, predicted).pvalue)


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("grouping", ["groups", "one-group"])
def test_every_group_keeps_something_at_any_rate(space: str, grouping: str) -> None:
    options = DropoutOptions(0.95, 0.95, grouping=grouping)  # type: ignore[arg-type]
    groups = drop_groups(options, SPACES[space])
    masks = sample_masks(50, drop_probabilities(options, SPACES[space]), groups, generator(1, "masks"))
    assert masks.shape == (50, EDGES, len(SPACES[space].operations))
    for group in groups:
        assert masks[..., list(group)].any(dim=-1).all()


def test_rate_zero_keeps_everything() -> None:
    options = PRESETS["one-level-darts"]
    masks = sample_masks(2, drop_probabilities(options, ORIGINAL), ORIGINAL.groups, generator(2, "masks"))
    assert masks.all()


def test_masks_follow_their_generator() -> None:
    p = drop_probabilities(DropoutOptions(**HIGH), ORIGINAL)  # type: ignore[arg-type]
    first, second, third = (sample_masks(2, p, ORIGINAL.groups, generator(seed, "masks")) for seed in (0, 0, 1))
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_cells_of_a_kind_share_a_mask() -> None:
    probabilities = torch.full((8,), 0.5, dtype=torch.float64)
    kept = sample_kept("shared", (0, 1, 0), probabilities, ORIGINAL.groups, generator(3, "masks"))
    assert torch.equal(kept.cells, torch.stack([kept.kinds[0], kept.kinds[1], kept.kinds[0]]))


def test_an_alpha_takes_part_where_any_cell_of_its_kind_keeps_the_operation() -> None:
    probabilities = torch.full((8,), 0.5, dtype=torch.float64)
    kept = sample_kept("per-cell", (0, 1, 1, 0), probabilities, ORIGINAL.groups, generator(4, "masks"))
    assert torch.equal(kept.kinds[0], kept.cells[0] | kept.cells[3])
    assert torch.equal(kept.kinds[1], kept.cells[1] | kept.cells[2])
