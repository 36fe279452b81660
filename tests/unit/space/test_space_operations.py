"""Operations, compared with the same arithmetic by plain functions, in double precision."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from dropnas.errors import DropnasError
from dropnas.space.operations import OPERATIONS, FactorizedReduce, Identity, Zero, make_operation

SIZES = [(1, 1), (1, 4), (2, 2), (3, 5), (7, 7), (8, 8)]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(x):
    """Batch norm at its start: over images and map, biased variance, no scale."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def windows(x, stride, fill):
    """The nine values under each position of a 3x3 window: (9, B, C, H', W')."""
    height, width = x.shape[-2:]
    padded = torch.full((*x.shape[:2], height + 2, width + 2), fill, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    shifts = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.stack(shifts)[:, :, :, ::stride, ::stride]


def separable(x, weights, stride, padding, dilation):
    depthwise, pointwise = weights
    x = functional.conv2d(x.relu(), depthwise, stride=stride, padding=padding, dilation=dilation, groups=x.shape[1])
    return norm(functional.conv2d(x, pointwise))


def reference(name, x, weights, stride, pool_norm):
    kernel = int(name[-1])
    if name.startswith("sep"):
        first = separable(x, weights[:2], stride, kernel // 2, 1)
        return separable(first, weights[2:], 1, kernel // 2, 1)
    if name.startswith("dil"):
        return separable(x, weights, stride, kernel - 1, 2)
    if name == "max_pool_3x3":
        pooled = windows(x, stride, -torch.inf).max(dim=0).values
    else:
        inside = windows(torch.ones_like(x), stride, 0.0).sum(dim=0)
        pooled = windows(x, stride, 0.0).sum(dim=0) / inside
    return norm(pooled) if pool_norm else pooled


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "name",
    ["sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "avg_pool_3x3"],
)
def test_an_operation_computes_what_its_name_says(name, stride):
    x = random(3, 4, 7, 8)
    for pool_norm in (True, False):
        operation = make_operation(name, 4, stride, affine=True, pool_norm=pool_norm).double()
        weights = [weight for weight in operation.parameters() if weight.dim() == 4]
        torch.testing.assert_close(operation(x), reference(name, x, weights, stride, pool_norm))


def test_the_factorised_7x7_convolution():
    x = random(2, 4, 6, 6)
    operation = make_operation("conv_7x1_1x7", 4, 2, affine=True, pool_norm=True).double()
    wide, tall = (weight for weight in operation.parameters() if weight.dim() == 4)
    assert (tuple(wide.shape[2:]), tuple(tall.shape[2:])) == ((1, 7), (7, 1))
    between = functional.conv2d(functional.pad(x.relu(), (3, 3, 0, 0)), wide)[..., ::2]
    expected = norm(functional.conv2d(functional.pad(between, (0, 0, 3, 3)), tall)[:, :, ::2])
    torch.testing.assert_close(operation(x), expected)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_factorized_reduce_sees_even_pixels_and_odd_pixels(height, width):
    x = random(3, 4, height, width)
    reduce = FactorizedReduce(4, 6, affine=False).double()
    even = x.relu()[:, :, ::2, ::2]
    odd = torch.zeros_like(even)  # zeros replace the last odd pixel of a side if it is missing
    odd[:, :, : height // 2, : width // 2] = x.relu()[:, :, 1::2, 1::2]
    first, second = reduce.straight.weight[:, :, 0, 0], reduce.shifted.weight[:, :, 0, 0]
    halves = [torch.einsum("oi,bihw->bohw", first, even), torch.einsum("oi,bihw->bohw", second, odd)]
    torch.testing.assert_close(reduce(x), norm(torch.cat(halves, dim=1)))


def test_an_odd_number_of_channels_is_shared_out():
    assert FactorizedReduce(4, 5, affine=True)(torch.ones(2, 4, 4, 4)).shape == (2, 5, 2, 2)


def test_skip_connect_is_identity_or_a_reduction_and_none_is_nothing():
    x = random(2, 4, 5, 5)
    assert isinstance(make_operation("skip_connect", 4, 1, True, True), Identity)
    assert isinstance(make_operation("skip_connect", 4, 2, True, True), FactorizedReduce)
    assert torch.equal(make_operation("skip_connect", 4, 1, True, True)(x), x)
    assert torch.equal(Zero(2)(x), torch.zeros(2, 4, 3, 3, dtype=torch.float64))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_all_operations_of_a_stride_give_maps_of_one_size(size, stride):
    for name in OPERATIONS:
        result = make_operation(name, 4, stride, affine=False, pool_norm=True)(torch.ones(2, 4, *size))
        assert result.shape == (2, 4, -(-size[0] // stride), -(-size[1] // stride)), name


def test_affine_and_pool_norm_decide_over_batch_norm():
    for name in OPERATIONS:
        plain = make_operation(name, 4, 2, affine=False, pool_norm=False)
        assert all(weight.dim() == 4 for weight in plain.parameters()), name
    assert len(list(make_operation("max_pool_3x3", 4, 1, True, True).parameters())) == 2
    assert not list(make_operation("max_pool_3x3", 4, 1, True, False).parameters())


def test_an_operation_of_a_users_package(tmp_path, monkeypatch):
    (tmp_path / "own_operation.py").write_text(
        "from torch import nn\n"
        "def pointwise(channels, stride, affine, pool_norm):\n"
        "    return nn.Conv2d(channels, channels, 1, stride=stride)\n"
        "def nothing(channels, stride, affine, pool_norm):\n"
        "    return None\n"
        "NUMBER = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(make_operation("own_operation:pointwise", 4, 2, True, True), nn.Conv2d)
    for wrong in ("nothing", "NUMBER"):
        with pytest.raises(DropnasError, match="not a torch module"):
            make_operation(f"own_operation:{wrong}", 4, 2, True, True)
    with pytest.raises(DropnasError, match="unknown operation 'pool'"):
        make_operation("pool", 4, 2, True, True)
