"""The supernet: its size, the order of its parameters, and that dropped operations do not run."""

import plain_dropnas as plain
import pytest
import torch
from torch import Tensor, nn

from dropnas.search.architecture import Alphas, mixtures
from dropnas.search.supernet import NORMAL, REDUCE, MixedOperation, Supernet, cell_kinds
from dropnas.space.spaces import EDGES, ORIGINAL, SPACES, edges


def edges_of(supernet: Supernet) -> dict[tuple[int, int], MixedOperation]:
    """All mixed operations, by (cell, edge)."""
    found = [module for module in supernet.modules() if isinstance(module, MixedOperation)]
    return {divmod(number, EDGES): edge for number, edge in enumerate(found)}


@pytest.fixture(scope="module")
def paper_scale() -> Supernet:
    return Supernet(ORIGINAL, channels=16, cells=14, classes=10)


def test_paper_scale_has_the_releases_number_of_weights(paper_scale: Supernet) -> None:
    weights = sum(parameter.numel() for parameter in paper_scale.parameters())
    assert round(weights / 1e6, 2) == 3.24


def test_paper_scale_costs_the_releases_multiply_adds(paper_scale: Supernet) -> None:
    counted: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        counted.append(layer.weight[0].numel() * output.numel())

    handles = [m.register_forward_hook(count) for m in paper_scale.modules() if isinstance(m, nn.Conv2d)]
    alphas = Alphas(*torch.zeros(2, EDGES, 8))
    kept = torch.ones(14, EDGES, 8, dtype=torch.bool)
    with torch.no_grad():
        logits = paper_scale(torch.zeros(1, 3, 32, 32), mixtures(alphas, kept, paper_scale.kinds))
    for handle in handles:
        handle.remove()
    assert logits.shape == (1, 10)
    assert round(sum(counted) / 1e6) == 527


def test_reductions_are_at_the_thirds() -> None:
    assert [cell for cell, kind in enumerate(cell_kinds(14)) if kind == REDUCE] == [4, 9]
    assert cell_kinds(3) == (NORMAL, REDUCE, REDUCE)
    assert cell_kinds(1) == (REDUCE,)


@pytest.mark.parametrize("name", list(SPACES))
def test_parameters_come_in_the_order_of_the_design(name: str) -> None:
    """Stem, then for each cell preprocessing and the edges' operations in the order of the space, then classifier."""
    supernet = Supernet(SPACES[name], channels=4, cells=4, classes=3)
    number = {id(weight): index for index, weight in enumerate(supernet.parameters())}
    world = plain.Plain(SPACES[name].operations, 4, [], {})
    places = [owner.place for owner in world.owners()]
    for where, edge in edges_of(supernet).items():
        for index, operation in enumerate(edge):
            expected = [i for i, place in enumerate(places) if place == (*where, index)]
            assert [number[id(weight)] for weight in operation.parameters()] == expected
    first, *_, last = supernet.parameters()
    assert first.shape == (12, 3, 3, 3) and last.shape == (3,)


def test_only_the_stems_batch_norm_has_affine_parameters() -> None:
    supernet = Supernet(ORIGINAL, channels=4, cells=4, classes=3)
    affine = [name for name, m in supernet.named_modules() if isinstance(m, nn.BatchNorm2d) and m.affine]
    assert affine == ["stem.1"]
    pools = [edge[index] for edge in edges_of(supernet).values() for index in (4, 5)]
    assert all(any(isinstance(m, nn.BatchNorm2d) for m in pool.modules()) for pool in pools)


def test_only_what_is_kept_runs() -> None:
    supernet = Supernet(ORIGINAL, channels=2, cells=3, classes=3)
    kept = torch.rand(3, EDGES, 8, generator=torch.Generator().manual_seed(0)) > 0.5
    kept[..., 0] = True
    ran = torch.zeros_like(kept)

    def note(place: tuple[int, int, int]) -> None:
        ran[place] = True

    for (cell, number), edge in edges_of(supernet).items():
        for index, operation in enumerate(edge):
            operation.register_forward_hook(lambda *_, place=(cell, number, index): note(place))
    alphas = Alphas(*torch.zeros(2, EDGES, 8))
    supernet(torch.zeros(2, 3, 8, 8), mixtures(alphas, kept, supernet.kinds))
    assert torch.equal(ran, kept)


def test_the_slot_of_a_weight_is_that_of_its_operation() -> None:
    supernet = Supernet(ORIGINAL, channels=2, cells=3, classes=3)
    slots = dict(zip((name for name, _ in supernet.named_parameters()), supernet.slots, strict=True))
    assert {name for name, slot in slots.items() if slot is None} == {name for name in slots if ".edges." not in name}
    stride_two = edges().index((2, 1))  # a skip-connect of stride 2 has weights
    prefix, slot = f"cells.1.edges.{stride_two}.6.", (EDGES + stride_two) * 8 + 6
    assert {name: found for name, found in slots.items() if found == slot} == {
        f"{prefix}{part}.weight": slot for part in ("straight", "shifted")
    }
