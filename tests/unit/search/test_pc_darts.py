"""PC-DARTS against its plain implementation, its supernet in both forms, its options, and how it is interrupted."""

from dataclasses import replace
from functools import partial
from typing import Any

import plain_pc_darts as plain
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dropnas.errors import DropnasError
from dropnas.search.backend_agreement import require_agreement
from dropnas.search.config import SearchConfig
from dropnas.search.engine.partial_engine import PartialEngine
from dropnas.search.methods import authors_settings
from dropnas.search.partial_channels import PartialOperation
from dropnas.search.seed_group import SeedGroup
from dropnas.search.strategies.pc_darts import BETAS, PcDarts, edge_weights, mixing_weights
from dropnas.search.strategy import make_strategy
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import ONE_SKIP, ORIGINAL
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator
from tests.unit.search.groups import (
    CLASSES,
    CONFIG,
    SMALL,
    group_of,
    leaves_of,
    recorded,
    run_of,
    train,
)
from tests.unit.search.strategy_checks import assert_replays, assert_resumes, assert_seeds_do_not_mix

PC = replace(CONFIG, strategy="pc-darts", channels=4, options={"proportion": 2, "frozen_part": 0.34}, alpha_scale=1.0)
ONE_CELL = replace(PC, cells=1)
IMAGES = 14  # seven for w: two steps per epoch, the second one of three images


def world_of(group: SeedGroup, index: int) -> plain.Plain:
    run, options = group.runs[index], group.strategy.options  # type: ignore[attr-defined]
    architecture = {name: values.detach() for name, values in run.architecture.items()}
    alphas, betas = (
        {kind: leaves_of([values])[0] for kind, values in zip(plain.KINDS, architecture[name], strict=True)}
        for name in ("alphas", BETAS)
    )
    weights = leaves_of(run.supernet.parameters())
    return plain.Plain(run.space.operations, run.config.cells, options.proportion, weights, alphas, betas)


# --- the step -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(("cells", "proportion"), [(3, 2), (1, 4)])
def test_steps_agree_with_the_plain_implementation(cells: int, proportion: int) -> None:
    """Four steps, the first two in a frozen epoch; the second step of an epoch has three images."""
    config = replace(PC, cells=cells, options=PC.options | {"proportion": proportion})
    group = group_of(config, space=ONE_SKIP, images=IMAGES)
    worlds, seen = [world_of(group, index) for index in range(2)], recorded(group)
    for number in range(4):
        found = train(group, number + 1, number)[0]
        batch, rate = seen[-1], group.state.weight_optimiser.learning_rate
        assert batch.held_out is not None
        for index, world in enumerate(worlds):
            pairs = [
                (images[index], labels[index]) for images, labels in ((batch.images, batch.labels), batch.held_out)
            ]
            loss = plain.step(world, *pairs, rate, group.config, frozen=number < 2)
            assert found[index].item() == pytest.approx(loss, rel=1e-9)
            assert torch.allclose(group.state.weights[index], flat(world.weights), rtol=0, atol=1e-9)
            assert torch.allclose(group.state.alphas[index], torch.stack([*world.alphas.values()]), rtol=0, atol=1e-9)
            betas = group.state.architecture[BETAS][index]
            assert torch.allclose(betas, torch.stack([*world.betas.values()]), rtol=0, atol=1e-9)


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def test_alphas_and_betas_stay_only_in_the_frozen_epochs() -> None:
    group = group_of(PC, images=IMAGES)
    train(group, last=4)
    history = [{**entry, **entry["further"]} for entry in group.runs[0].history]
    assert history[0] == history[1]
    assert all(history[1][name] != history[2][name] for name in ("normal", "reduce", BETAS))
    assert list(group.programs) == ["weights only", ""]


# --- the supernet ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize(("side", "proportion"), [(8, 4), (7, 2)])
def test_the_engine_gives_the_numbers_of_the_plain_supernet(side: int, proportion: int, static: bool) -> None:
    edge = partial(PartialOperation, proportion)
    supernets = [Supernet(ORIGINAL, 8, 3, CLASSES, edge) for _ in range(2)]
    for seed, supernet in enumerate(supernets):
        initialise(supernet, generator(seed, "weights"))
    draws = generator(0, "mixing")
    mixing = torch.rand(2, 3, 14, 8, generator=draws).requires_grad_()
    images = torch.randn(2, 3, 3, side, side, generator=draws)
    kept = torch.rand(2, 3, 14, 8, generator=draws) < 0.7
    kept[..., 0] = True
    weights = [weight for supernet in supernets for weight in supernet.parameters()]
    logits = PartialEngine(proportion, supernets, static).mix(images, mixing, kept)
    ours = torch.autograd.grad(loss_of(logits), [mixing, *weights], materialize_grads=True)
    answers = [
        supernet(*each) for supernet, *each in zip(supernets, images, map(mixtures_of, mixing, kept), strict=True)
    ]
    expected = torch.stack(answers)
    theirs = torch.autograd.grad(loss_of(expected), [mixing, *weights], materialize_grads=True)
    assert torch.allclose(logits, expected, rtol=0, atol=1e-10)
    assert all(torch.allclose(left, right, rtol=0, atol=1e-9) for left, right in zip(ours, theirs, strict=True))


def test_kernels_are_compared_with_the_same_kind_of_engine() -> None:
    group = group_of(ONE_CELL)
    require_agreement(group.state.engine, group.images, group.config)


def loss_of(logits: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), torch.arange(logits.shape[:2].numel()) % CLASSES)


def mixtures_of(mixing: Tensor, kept: Tensor) -> Any:
    """For each cell and edge, the kept operations with their weights."""
    return [
        [
            [(index, row[index]) for index in keeps.nonzero().flatten().tolist()]
            for row, keeps in zip(*of_cell, strict=True)
        ]
        for of_cell in zip(mixing, kept, strict=True)
    ]


def test_an_edge_shuffles_processed_and_bypassed_channels() -> None:
    edge, images = PartialOperation(2, SMALL, 4, 2), torch.randn(2, 4, 5, 5, generator=generator(0, "images"))
    answer = edge(images, [(2, torch.tensor(0.25)), (3, torch.tensor(0.5))])  # zero and skip-connect
    skip = 0.5 * edge[3](images[:, :2])
    pooled = 0.75 * functional.max_pool2d(functional.pad(images[:, 2:], (0, 1, 0, 1), value=-torch.inf), 2)
    expected = torch.stack([skip[:, 0], pooled[:, 0], skip[:, 1], pooled[:, 1]], dim=1)
    assert answer.shape == (2, 4, 3, 3) and torch.allclose(answer, expected)


def test_weights_of_the_edges_of_a_node_sum_to_one() -> None:
    found = edge_weights(torch.randn(3, 2, 14, generator=generator(0, "betas")))
    sums = torch.stack([part.sum(-1) for part in found.split([2, 3, 4, 5], dim=-1)])  # type: ignore[no-untyped-call]
    assert torch.allclose(sums, torch.ones(4, 3, 2)) and (found > 0).all()


# --- the search -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_genotypes_agree_with_the_plain_implementation(seed: int) -> None:
    strategy = make_strategy(replace(PC, epochs=1), ORIGINAL)
    draws = generator(seed, "alphas")
    architecture = {"alphas": torch.randn(2, 14, 8, generator=draws), BETAS: torch.randn(2, 14, generator=draws)}
    found = strategy.derive(run_of(ORIGINAL, architecture))
    assert found is not None
    expected = plain.genotype(ORIGINAL.operations, *(values.double() for values in architecture.values()))
    assert [list(found.normal), list(found.reduce)] == expected


def test_betas_decide_between_edges() -> None:
    strategy = make_strategy(PC, ORIGINAL)
    architecture = {"alphas": torch.zeros(2, 14, 8), BETAS: torch.zeros(2, 14)}
    architecture["alphas"][0, 9:, 0] = 1  # all edges of the last node are equal
    architecture[BETAS][0, [10, 12]] = 1
    found = strategy.derive(run_of(ORIGINAL, architecture))
    assert found is not None and found.normal[6:] == (("sep_conv_3x3", 1), ("sep_conv_3x3", 3))


@pytest.mark.usefixtures("doubles")
def test_seeds_in_a_group_are_those_alone() -> None:
    assert_seeds_do_not_mix(ONE_CELL, last=4)


def test_a_recorded_step_gives_the_same_bits() -> None:
    assert list(assert_replays(ONE_CELL, last=4).programs) == ["weights only", ""]


def test_it_continues_to_the_bit() -> None:
    assert_resumes(ONE_CELL, (1, 2, 3, 4, 5), last=6, seeds=(3, 5))


# --- its options ----------------------------------------------------------------------------------------------------


def test_the_authors_settings() -> None:
    strategy = make_strategy(SearchConfig(strategy="pc-darts", **authors_settings("pc-darts")), ORIGINAL)  # type: ignore[arg-type]
    assert isinstance(strategy, PcDarts) and strategy.frozen_epochs == 15 and strategy.options.proportion == 4
    assert strategy.phases == ((8, 50),)
    supernet = strategy.make_supernet(0, 10)
    assert [edge.channels for edge in (supernet.cells[0].edges[0], supernet.cells[7].edges[0])] == [4, 16]  # type: ignore[union-attr,index]


def test_without_edge_normalisation_every_edge_has_weight_one() -> None:
    group = group_of(replace(PC, options={"proportion": 2, "edge_normalisation": False}), images=IMAGES)
    train(group, last=2)
    assert list(group.runs[0].architecture) == ["alphas"] and BETAS not in group.runs[0].history[0]["further"]
    assert torch.allclose(mixing_weights(group.state.architecture).sum(-1), torch.ones(2, 2, 14))
    found = group.strategy.derive(group.runs[0])
    normal, reduce = (alphas.softmax(-1)[None] for alphas in group.runs[0].alphas)
    edges = torch.zeros(2, 14)
    for node in plain.genotype(SMALL.operations, torch.cat([normal, reduce]).log(), edges)[0][:2]:
        assert found is not None and node in found.normal[:2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proportion": 3}, "one in 3 of 4 channels is no whole number; choose another option 'proportion'"),
        ({"proportion": 8}, "one in 8 of 4 channels"),
        ({"proportion": 1}, "option 'proportion' takes a whole number at least 2, not 1"),
        ({"frozen_part": 1.0}, "option 'frozen_part' takes a number at least 0 and below 1, not 1.0"),
        ({"frozen": 3}, "unknown option 'frozen'"),
    ],
)
def test_mistakes_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DropnasError, match=message) as raised:
        make_strategy(replace(PC, options=options), ORIGINAL)
    assert "\n" not in str(raised.value) and "strategy 'pc-darts'" in str(raised.value)
