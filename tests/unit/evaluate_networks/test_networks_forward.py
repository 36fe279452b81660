"""The evaluation networks, compared with a second implementation of DARTS' layout by plain functions of the weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.cells import Cell, SqueezeExcitation, draw_paths, drop_path_masks
from dropnas.evaluate.stack import AuxiliaryTower
from dropnas.space.genotype import Genotype
from dropnas.space.published import load_genotype
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator
from tests.unit.evaluate_networks.small_networks import cifar, imagenet

GENOTYPES = ["dropnas_c10", "nasnet_a", "amoebanet_a", "enas_micro"]
SHAPE = NetworkFile("cifar", 3, 2, 10, False, True, False, (8, 8))
SKIPS = Genotype((("skip_connect", 0), ("skip_connect", 1)), (2,), (("skip_connect", 0), ("skip_connect", 1)), (2,))


def norm(x, weights, name):
    """Batch norm in training mode."""
    return functional.batch_norm(x, None, None, weights[f"{name}.weight"], weights[f"{name}.bias"], training=True)


def relu_conv_norm(x, weights, name, stride=1, padding=0):
    x = functional.conv2d(x.relu(), weights[f"{name}.1.weight"], stride=stride, padding=padding)
    return norm(x, weights, f"{name}.2")


def factorized_reduce(x, weights, name):
    x = x.relu()
    halves = [
        functional.conv2d(x[:, :, ::2, ::2], weights[f"{name}.straight.weight"]),
        functional.conv2d(x[:, :, 1::2, 1::2], weights[f"{name}.shifted.weight"]),
    ]
    return norm(torch.cat(halves, 1), weights, f"{name}.norm")


def separable(x, weights, name, start, stride, padding, dilation):
    depthwise, pointwise = (weights[f"{name}.{start + k}.weight"] for k in (1, 2))
    x = functional.conv2d(x.relu(), depthwise, stride=stride, padding=padding, dilation=dilation, groups=x.shape[1])
    return norm(functional.conv2d(x, pointwise), weights, f"{name}.{start + 3}")


def operate(kind, x, weights, name, stride, pool_norm):
    kernel = int(kind[-1]) if kind[-1].isdigit() else 0
    if kind == "skip_connect":
        return x if stride == 1 else factorized_reduce(x, weights, name)
    if kind.startswith("sep"):
        x = separable(x, weights, name, 0, stride, kernel // 2, 1)
        return separable(x, weights, name, 4, 1, kernel // 2, 1)
    if kind.startswith("dil"):
        return separable(x, weights, name, 0, stride, kernel - 1, 2)
    if kind == "conv_7x1_1x7":
        x = functional.conv2d(x.relu(), weights[f"{name}.1.weight"], stride=(1, stride), padding=(0, 3))
        x = functional.conv2d(x, weights[f"{name}.2.weight"], stride=(stride, 1), padding=(3, 0))
        return norm(x, weights, f"{name}.3")
    if kind == "max_pool_3x3":
        x = functional.max_pool2d(x, 3, stride, 1)
    else:
        x = functional.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
    return norm(x, weights, f"{name}.1") if pool_norm else x


def plain_cells(genotype, cells, weights, s0, s1, pool_norm, reduced, masks=None, excite=False):
    """Outputs of all cells, by the rules of DARTS' model: returns a list."""
    outputs, edge_number = [], 0
    for index in range(cells):
        name = f"stack.cells.{index}"
        reduction = index in (cells // 3, 2 * cells // 3)
        edges, concat = (
            (genotype.reduce, genotype.reduce_concat) if reduction else (genotype.normal, genotype.normal_concat)
        )
        if reduced:
            states = [factorized_reduce(s0, weights, f"{name}.preprocess_before_last")]
        else:
            states = [relu_conv_norm(s0, weights, f"{name}.preprocess_before_last")]
        states.append(relu_conv_norm(s1, weights, f"{name}.preprocess_last"))
        for node in range(len(edges) // 2):
            total = 0
            for edge in (2 * node, 2 * node + 1):
                kind, source = edges[edge]
                stride = 2 if reduction and source < 2 else 1
                x = operate(kind, states[source], weights, f"{name}.operations.{edge}", stride, pool_norm)
                if masks is not None and not (kind == "skip_connect" and stride == 1):
                    x = x * masks[edge_number]
                edge_number += 1
                total = total + x
            states.append(total)
        output = torch.cat([states[node] for node in concat], 1)
        if excite:
            hidden = output.mean((2, 3)) @ weights[f"{name}.excitation.squeeze.weight"].T
            scale = hidden.relu() @ weights[f"{name}.excitation.excite.weight"].T
            output = output * scale.sigmoid()[:, :, None, None]
        s0, s1, reduced = s1, output, reduction
        outputs.append(output)
    return outputs


def plain_tower(x, weights, stride, last_norm):
    x = functional.avg_pool2d(x.relu(), 5, stride, 0, count_include_pad=False)
    x = norm(functional.conv2d(x, weights["auxiliary.features.0.weight"]), weights, "auxiliary.features.1").relu()
    x = functional.conv2d(x, weights["auxiliary.features.3.weight"])
    x = norm(x, weights, "auxiliary.features.4") if last_norm else x
    return linear(x.relu().flatten(1), weights, "auxiliary.classifier")


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def ready(network):
    """Double precision, training mode, all weights random, including batch norms' scales and biases."""
    initialise(network, generator(0, "test"))
    random = generator(1, "test")
    for weight in network.parameters():
        if weight.dim() == 1:
            weight.data.copy_(torch.rand(weight.shape, generator=random) + 0.5)
    return network.double().train()


def masks_of(network, count, rate, seed):
    return drop_path_masks(draw_paths(network.stack.edges, count, rate, generator(seed, "masks")), 1 / (1 - rate))


def images(batch, side, seed=2):
    return torch.randn(batch, 3, side, side, generator=generator(seed, "images"), dtype=torch.float64)


@pytest.mark.parametrize("pool_norm", [True, False])
@pytest.mark.parametrize("name", GENOTYPES)
def test_the_cifar_network_is_that_of_darts(name, pool_norm):
    genotype = load_genotype(name)
    network = ready(cifar(genotype, 2, 3, 10, auxiliary=True, pool_norm=pool_norm))
    weights, x = dict(network.named_parameters()), images(2, 32)
    masks = masks_of(network, 2, 0.3, 5)
    logits, auxiliary = network(x, masks)

    stem = norm(functional.conv2d(x, weights["stem.convolution.weight"], padding=1), weights, "stem.norm")
    outputs = plain_cells(genotype, 3, weights, stem, stem, pool_norm, False, masks.double())
    torch.testing.assert_close(logits, linear(outputs[-1].mean((2, 3)), weights, "classifier"))
    torch.testing.assert_close(auxiliary, plain_tower(outputs[2], weights, stride=3, last_norm=True))


@pytest.mark.parametrize("excite", [True, False])
@pytest.mark.parametrize("name", GENOTYPES[:2])
def test_the_imagenet_network_is_that_of_darts(name, excite):
    genotype = load_genotype(name)
    network = ready(imagenet(genotype, 4, 3, 12, excite))
    weights, x = dict(network.named_parameters()), images(2, 224)
    logits, auxiliary = network(x)

    half = norm(functional.conv2d(x, weights["stem.quarter.0.weight"], stride=2, padding=1), weights, "stem.quarter.1")
    quarter = functional.conv2d(half.relu(), weights["stem.quarter.3.weight"], stride=2, padding=1)
    quarter = norm(quarter, weights, "stem.quarter.4")
    eighth = relu_conv_norm(quarter, weights, "stem.eighth", stride=2, padding=1)
    outputs = plain_cells(genotype, 3, weights, quarter, eighth, True, True, excite=excite)
    torch.testing.assert_close(logits, linear(outputs[-1].mean((2, 3)), weights, "classifier"))
    torch.testing.assert_close(auxiliary, plain_tower(outputs[2], weights, stride=2, last_norm=False))


def test_widths_and_sides_of_the_cells():
    network = cifar(load_genotype("nasnet_a"), 4, 6, 10, auxiliary=False).eval()
    seen = []
    for cell in network.stack.cells:
        cell.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    network(torch.zeros(1, 3, 32, 32))
    normal, reduce = 5, 3  # nodes in the outputs of NASNet-A's two cells
    assert seen == [
        (4 * normal, 32, 32),
        (4 * normal, 32, 32),
        (8 * reduce, 16, 16),
        (8 * normal, 16, 16),
        (16 * reduce, 8, 8),
        (16 * normal, 8, 8),
    ]


@pytest.mark.parametrize(("side", "stride"), [(8, 3), (9, 3), (10, 3), (7, 2), (8, 2)])
def test_the_tower_is_the_standard_one_wherever_the_standard_one_works(side, stride):
    tower = AuxiliaryTower(6, 10, large=stride == 2).double().eval()
    pool = nn.AvgPool2d(5, stride=stride, padding=0, count_include_pad=False)
    standard = nn.Sequential(nn.ReLU(), pool, *tower.features, nn.Flatten(), tower.classifier)
    x = torch.randn(2, 6, side, side, generator=generator(0, "x"), dtype=torch.float64)
    assert torch.equal(tower(x), standard(x))


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 2), (3, 3), (4, 4), (5, 5), (6, 7), (16, 16), (8, 4)])
@pytest.mark.parametrize("stride", [2, 3])
def test_the_tower_takes_maps_of_any_other_size(size, stride):
    assert AuxiliaryTower(6, 10, large=stride == 2)(torch.zeros(2, 6, *size)).shape == (2, 10)


@pytest.mark.parametrize("side", [1, 2, 5, 8, 13])
def test_small_and_odd_images_go_through_both_networks(side):
    for name in ("nasnet_a", "amoebanet_a"):
        small = cifar(load_genotype(name), 2, 3, 5, auxiliary=True)
        large = imagenet(load_genotype(name), 2, 3, 5, True)
        for network in (small, large):
            for logits in network(torch.zeros(2, 3, side, side + 1)):
                assert logits.shape == (2, 5)


@pytest.mark.parametrize("cells", [1, 2])
def test_very_shallow_networks(cells):
    network = cifar(load_genotype("darts_v2"), 2, cells, 5, auxiliary=True)
    assert [output.shape for output in network(torch.zeros(2, 3, 8, 8))] == [(2, 5), (2, 5)]


def test_the_tower_works_in_training_mode_only():
    network = cifar(load_genotype("darts_v2"), 2, 3, 5, auxiliary=True)
    x = torch.zeros(2, 3, 8, 8)
    assert network.train()(x)[1] is not None
    assert network.eval()(x)[1] is None
    without = cifar(load_genotype("darts_v2"), 2, 3, 5, auxiliary=False)
    assert without.train()(x)[1] is None


def test_the_hidden_layer_of_squeeze_and_excitation_is_a_sixteenth_and_never_empty():
    assert SqueezeExcitation(192).squeeze.weight.shape == (12, 192)
    assert SqueezeExcitation(8).squeeze.weight.shape == (1, 8)


def test_equal_seeds_give_equal_bits():
    def gradients():
        network = cifar(load_genotype("dropnas_c10"), 4, 3, 10, auxiliary=True)
        initialise(network, generator(3, "initialisation"))
        logits, auxiliary = network(images(4, 16).float(), masks_of(network, 4, 0.2, 3))
        (logits.square().sum() + auxiliary.square().sum()).backward()
        return [weight.grad for weight in network.parameters()]

    assert all(torch.equal(first, second) for first, second in zip(gradients(), gradients(), strict=True))


def test_drop_path_draws_from_its_generator_alone():
    network = cifar(load_genotype("dropnas_c10"), 2, 3, 10, auxiliary=False)
    x, before = images(4, 8).float(), torch.get_rng_state()
    first, second, other = (network(x, masks_of(network, 4, 0.5, seed))[0] for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_drop_path_drops_every_operation_but_identity():
    states, nothing = images(4, 8).float()[:, :2], torch.zeros(2, 4, 1, 1, 1)
    normal = Cell(SHAPE, SKIPS, 2, 2, 2, False, False)
    assert torch.equal(normal(states, states, nothing), normal(states, states, None))
    reduction = Cell(SHAPE, SKIPS, 2, 2, 2, True, False)
    assert torch.equal(reduction(states, states, nothing), torch.zeros(4, 2, 4, 4))


def test_drop_path_is_for_training():
    network = cifar(load_genotype("darts_v2"), 2, 3, 5, auxiliary=False).eval()
    x = images(2, 8).float()
    assert torch.equal(network(x)[0], network(x, masks_of(network, 2, 0.9, 0))[0])


def test_drop_path_masks_are_for_each_edge_and_image_and_keep_the_mean():
    masks = drop_path_masks(draw_paths(200, 100, 0.2, generator(0, "masks")), 1 / 0.8)
    assert masks.shape == (200, 100, 1, 1, 1)
    assert set(masks.unique().tolist()) == {0.0, torch.tensor(1 / 0.8).item()}
    assert abs(masks.mean().item() - 1) < 0.02
    assert 0.1 < masks.mean(dim=0).std().item() * 100**0.5 < 0.7  # images and edges are independent of each other
    assert 0.1 < masks.mean(dim=1).std().item() * 100**0.5 < 0.7
