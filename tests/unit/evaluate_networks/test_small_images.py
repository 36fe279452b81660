"""The forward pass for small images against the network's own: logits, every gradient, every running statistic."""

import copy

import pytest
import torch
from torch import nn

from dropnas.evaluate import small_images
from dropnas.evaluate.cells import draw_paths, drop_path_masks
from dropnas.space.genotype import Genotype
from dropnas.space.published import load_genotype
from dropnas.training.initialisation import initialise
from dropnas.training.precision import autocast
from dropnas.training.seeding import generator
from tests.unit.evaluate_networks.small_networks import cifar

POOLS = [("avg_pool_3x3", 0), ("max_pool_3x3", 1), ("none", 0), ("skip_connect", 2), ("dil_conv_5x5", 2)]
REST = [("dil_conv_3x3", 0), ("sep_conv_7x7", 1), ("conv_7x1_1x7", 3)]
EVERYTHING = Genotype((*POOLS, *REST), (2, 3, 4, 5), (*POOLS, *REST), (3, 4, 5))
GENOTYPES = {name: load_genotype(name) for name in ("dropnas_c10", "amoebanet_a")} | {"everything": EVERYTHING}
CLOSE = 1e-9  # relative to each tensor's largest magnitude, in double precision
VANISHING = 1e-12  # gradients below this count as zero; others are of the order of 1


class Doubled(nn.Module):
    """A user's operation, which the fast pass does not know."""

    def forward(self, states):
        return 2 * states.flip(2)


def network_of(genotype, channels=4, auxiliary=True):
    network = cifar(genotype, channels, 3, 10, auxiliary).double()
    initialise(network, generator(0, "weights"))
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2, generator=generator(1, "scales"))
        nn.init.uniform_(norm.bias, -1, 1, generator=generator(1, "shifts"))
    return network


def noise(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=generator(0, "images"))


def masks_of(network, images):
    return drop_path_masks(draw_paths(network.stack.edges, images, 0.3, generator(0, "paths")), 1 / 0.7).double()


def assert_close(ours, theirs, name):
    assert ours.shape == theirs.shape, name
    assert (ours - theirs).abs().max() <= max(CLOSE * theirs.abs().max(), VANISHING), name


def descended(network, forward, images, masks):
    logits, auxiliary = forward(images, masks)
    weights = noise(*logits.shape)
    ((logits * weights).sum() + (0 if auxiliary is None else (auxiliary * weights.flip(1)).sum())).backward()
    return [logits.detach(), *([] if auxiliary is None else [auxiliary.detach()])]


@pytest.mark.parametrize("genotype", GENOTYPES.values(), ids=GENOTYPES)
@pytest.mark.parametrize("sides", [(8, 8), (5, 7), (9, 10)])
@pytest.mark.parametrize("drop_path", [False, True])
def test_training_is_that_of_the_network(genotype, sides, drop_path):
    plain = network_of(genotype)
    fast, images = copy.deepcopy(plain), noise(6, 3, *sides)
    masks = masks_of(plain, 6) if drop_path else None
    theirs = descended(plain, plain, images, masks)
    ours = descended(fast, lambda images, masks: small_images.forward(fast, images, masks), images, masks)
    for name, mine, other in zip(("logits", "auxiliary"), ours, theirs, strict=True):
        assert_close(mine, other, name)
    for (name, mine), other in zip(fast.named_parameters(), plain.parameters(), strict=True):
        assert_close(mine.grad, other.grad, name)
    for (name, mine), other in zip(fast.named_buffers(), plain.buffers(), strict=True):
        assert_close(mine, other, name)


def test_evaluation_is_that_of_the_network_and_ignores_masks():
    network, images = network_of(EVERYTHING).eval(), noise(6, 3, 8, 8)
    for masks in (None, masks_of(network, 6)):
        logits, auxiliary = small_images.forward(network, images, masks)
        assert_close(logits, network(images)[0], "logits")
        assert auxiliary is None


def test_without_a_tower_there_are_no_auxiliary_logits():
    network, images = network_of(EVERYTHING, auxiliary=False), noise(6, 3, 8, 8)
    assert small_images.forward(network, images)[1] is None


def test_a_users_operation_sees_its_maps_as_it_is_used_to(monkeypatch):
    monkeypatch.setitem(globals(), "doubled", lambda *_: Doubled())
    named = f"{__name__}:doubled"
    genotype = Genotype(((named, 0), ("skip_connect", 1)), (2,), (("max_pool_3x3", 0), ("skip_connect", 1)), (2,))
    network, images = network_of(genotype), noise(6, 3, 8, 8)
    assert_close(small_images.forward(network, images)[0], network(images)[0], "logits")


def test_bfloat16_stays_within_its_rounding():
    network, images = network_of(EVERYTHING).float(), noise(16, 3, 8, 8).float()
    exact = network(images)[0]
    with autocast("bf16", "cpu"):
        ours, theirs = small_images.forward(network, images)[0], network(images)[0]
    assert (ours - exact).norm() <= 1.5 * (theirs - exact).norm()


@pytest.mark.parametrize(
    ("pixels", "device", "is_faster"), [(256, "cpu", True), (289, "cpu", False), (64, "cuda", False)]
)
def test_it_is_used_only_for_small_images_on_a_cpu(pixels, device, is_faster):
    network = network_of(EVERYTHING)
    assert (small_images.fastest(network, pixels, device) is not network) == is_faster
