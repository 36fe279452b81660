"""The operations on a cell's edges and the blocks that they consist of (Section 2.1; layouts as in DARTS).

Design choices: every operation keeps the number of channels and has stride 1 or 2. Maps may have any size, even 1x1.
All operations of stride 2 halve each side and round up, so that their outputs can be added even if a side is odd. A
batch norm follows each convolution. With `pool_norm` a batch norm also follows each pooling, as in the release; DARTS'
own evaluation network has no batch norm there. `affine` is off in the supernet and on in the evaluation networks.
"""

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.errors import DropnasError
from dropnas.extension import load
from dropnas.space.names import check_operation

Factory = Callable[[int, int, bool, bool], nn.Module]  # (channels, stride, affine, pool_norm)

CALLED_AS = "it is called as ATTRIBUTE(channels, stride, affine, pool_norm)"


class Identity(nn.Module):
    """Skip-connect of stride 1. The evaluation networks apply no drop-path to it."""

    def forward(self, states: Tensor) -> Tensor:
        return states


class Zero(nn.Module):
    """The zero operation: returns zeros, in the output size that its stride implies."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, states: Tensor) -> Tensor:
        return torch.zeros_like(states[:, :, :: self.stride, :: self.stride])  # (B, C, ceil(H/s), ceil(W/s))


class AfterReLU(nn.Sequential):
    """Layers that begin with a ReLU, so that blocks with the same input can share the output of the ReLU."""

    def rectified(self, states: Tensor) -> Tensor:
        """Compute the output for states (B, C, H, W) that have already passed through the ReLU."""
        for layer in islice(self, 1, None):
            states = layer(states)
        return states


class ReLUConvBN(AfterReLU):
    """ReLU, convolution, batch norm; with a 1x1 kernel it preprocesses the inputs of a cell."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, padding: int, affine: bool
    ) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=False),
            nn.BatchNorm2d(channels_out, affine=affine),
        )


class FactorizedReduce(nn.Module):
    """Halves each side of a map with two 1x1 convolutions of stride 2; the second one is shifted by one pixel.

    If a side is odd, the shifted map is padded with a row or column of zeros, so that both convolutions give the same
    size. For even sides this is DARTS' block. If the number of output channels is odd, the second convolution gets the
    extra one.
    """

    def __init__(self, channels_in: int, channels_out: int, affine: bool) -> None:
        super().__init__()
        half = channels_out // 2
        self.relu = nn.ReLU()
        self.straight = nn.Conv2d(channels_in, half, 1, stride=2, bias=False)
        self.shifted = nn.Conv2d(channels_in, channels_out - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, affine=affine)

    def forward(self, states: Tensor) -> Tensor:
        return self.rectified(self.relu(states))

    def rectified(self, states: Tensor) -> Tensor:
        """Compute the output for states (B, C, H, W) that have already passed through the ReLU."""
        height, width = states.shape[-2:]
        odd = (0, width % 2, 0, height % 2)
        shifted = (functional.pad(states, odd) if any(odd) else states)[:, :, 1:, 1:]  # padding by 0 would make a copy
        reduced: Tensor = self.norm(torch.cat([self.straight(states), self.shifted(shifted)], dim=1))
        return reduced


class DilConv(AfterReLU):
    """ReLU, depthwise convolution of dilation 2, pointwise convolution, batch norm."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, stride, kernel - 1, dilation=2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=affine),
        )


class SepConv(AfterReLU):
    """Two separable convolutions, each with a ReLU before and a batch norm after it; the first one uses `stride`."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__(
            *_separable(channels, kernel, stride, affine),
            *_separable(channels, kernel, 1, affine),
        )


class FactorizedConv(AfterReLU):
    """AmoebaNet-A's conv_7x1_1x7: ReLU, a 1x7 and a 7x1 convolution, batch norm."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
            nn.Conv2d(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
            nn.BatchNorm2d(channels, affine=affine),
        )


class PoolNorm(nn.Sequential):
    """A pooling, followed by a batch norm if `pool_norm` is set."""

    def __init__(self, pool: nn.Module, channels: int, affine: bool, pool_norm: bool) -> None:
        super().__init__(pool, *([nn.BatchNorm2d(channels, affine=affine)] if pool_norm else []))


def _separable(channels: int, kernel: int, stride: int, affine: bool) -> list[nn.Module]:
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def _sep_conv(kernel: int) -> Factory:
    return lambda channels, stride, affine, pool_norm: SepConv(channels, kernel, stride, affine)


def _dil_conv(kernel: int) -> Factory:
    return lambda channels, stride, affine, pool_norm: DilConv(channels, kernel, stride, affine)


def _max_pool(channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    return PoolNorm(nn.MaxPool2d(3, stride=stride, padding=1), channels, affine, pool_norm)


def _avg_pool(channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    pool = nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    return PoolNorm(pool, channels, affine, pool_norm)


def _skip_connect(channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    """Identity for stride 1; FactorizedReduce for stride 2, which has weights but counts as parameter-free."""
    return Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


OPERATIONS: dict[str, Factory] = {
    "sep_conv_3x3": _sep_conv(3),
    "sep_conv_5x5": _sep_conv(5),
    "dil_conv_3x3": _dil_conv(3),
    "dil_conv_5x5": _dil_conv(5),
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _avg_pool,
    "skip_connect": _skip_connect,
    "none": lambda channels, stride, affine, pool_norm: Zero(stride),
    "sep_conv_7x7": _sep_conv(7),
    "conv_7x1_1x7": lambda channels, stride, affine, pool_norm: FactorizedConv(channels, stride, affine),
}


def make_operation(name: str, channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    """Make the module of an operation: one of this package's, or a user's `package.module:ATTRIBUTE`.

    A user's attribute is called as `attribute(channels, stride, affine, pool_norm)`. It returns a module that maps (B,
    channels, H, W) to (B, channels, ceil(H / stride), ceil(W / stride)).

    Raises:
        DropnasError: the name is unknown, or the user's attribute does not return a module.
    """
    if name in OPERATIONS:
        return OPERATIONS[name](channels, stride, affine, pool_norm)
    check_operation(name, "operation")
    factory = load(name)
    try:
        module = factory(channels, stride, affine, pool_norm) if callable(factory) else factory
    except TypeError as error:
        raise DropnasError(f"does not make an operation ({error})", where=name, remedy=CALLED_AS) from error
    if not isinstance(module, nn.Module):
        raise DropnasError(f"returns a {type(module).__name__}, not a torch module", where=name, remedy=CALLED_AS)
    return module
