"""Convolutions and poolings of small maps: the same numbers as torch's own, with the same parameters."""

import copy

import pytest
import torch
from torch import Tensor, nn

from dropnas.space import small_maps
from dropnas.space.names import OPERATION_NAMES, ZERO
from dropnas.space.operations import ReLUConvBN, make_operation

SIZES = [(8, 8), (8, 16), (5, 7), (4, 4), (2, 2), (1, 1)]


def gradients(module: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    images = images.clone().requires_grad_()
    output = module(images)
    draws = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype)
    found = torch.autograd.grad((output * draws).sum(), [images, *module.parameters()], allow_unused=True)
    return output.detach(), [torch.zeros(()) if g is None else g for g in found]


def assert_same(module: nn.Module, images: Tensor) -> None:
    faster = copy.deepcopy(module)
    small_maps.exchange(faster)
    output, expected = gradients(module, images)
    found_output, found = gradients(faster, images)
    assert torch.allclose(found_output, output, rtol=0, atol=1e-11)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", [name for name in OPERATION_NAMES if name != ZERO])
def test_operations_give_the_same_values_and_gradients(name: str, stride: int) -> None:
    operation = make_operation(name, 4, stride, affine=False, pool_norm=True).double()
    for height, width in SIZES:
        generator = torch.Generator().manual_seed(0)
        assert_same(operation, torch.randn(3, 4, height, width, generator=generator, dtype=torch.float64))


def test_maximum_of_equal_pixels_sends_its_gradient_to_the_same_one() -> None:
    pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1))
    generator = torch.Generator().manual_seed(0)
    assert_same(pool, torch.randint(0, 3, (4, 5, 8, 8), generator=generator).double())


def test_parameters_names_and_the_global_generator_stay() -> None:
    network = nn.Sequential(
        make_operation("sep_conv_3x3", 4, 1, affine=True, pool_norm=True), ReLUConvBN(4, 8, 1, 1, 0, True)
    )
    names, weights = list(network.state_dict()), list(network.parameters())
    before = torch.get_rng_state()
    small_maps.exchange(network)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(network.state_dict()) == names
    assert all(new is old for new, old in zip(network.parameters(), weights, strict=True))
    kinds = {type(layer) for layer in network.modules()}
    assert {small_maps.DepthwiseConv, small_maps.PointwiseConv} <= kinds and nn.Conv2d not in kinds


def test_other_layers_and_larger_maps_are_left_to_torch() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    )
    first = network[0]
    large = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    expected = network(large)
    small_maps.exchange(network)
    assert network[0] is first and isinstance(network[1], small_maps.DepthwiseConv)
    assert torch.equal(network(large), expected)  # to the bit


def test_results_are_the_same_to_the_bit_each_time() -> None:
    operation = nn.Sequential(make_operation("dil_conv_5x5", 4, 1, affine=False, pool_norm=True))
    small_maps.exchange(operation)
    images = torch.randn(64, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    output, expected = gradients(operation, images)
    for _ in range(3):
        again, found = gradients(operation, images)
        assert torch.equal(again, output)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
