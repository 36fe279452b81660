"""Convolutions and poolings of small maps on a CPU, as products with small matrices.

Design choices: on small maps with few channels a CPU's convolutions spend nearly all their time on overhead, depthwise
ones above all going backward. There a convolution of one channel is a product with a matrix (H*W, H'*W') that its
kernel is spread over: the same sum in another order, two to thirty times as fast, and as deterministic. Layers are
exchanged for subclasses that hold the very same parameters under the same names, and fall back to torch's own where a
map is larger, on a GPU and in reduced precision. Nothing else of a network changes. The limits are measured, forward
and backward, on one thread, batches of 16 to 128.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST_MAP = 256  # pixels
MOST_CHANNELS = 64
UNDILATED_MAP = 64  # a depthwise convolution without dilation is slow in torch only up to here, or up to
UNDILATED_VALUES = 1024  # so many pixels times channels

Pair = tuple[int, int]


def exchange(network: nn.Module) -> None:
    """Exchange, in place, all layers of a network that have a faster form on small maps.

    Call it before the network is used, and after it was moved to its device; parameters, buffers, names and hooks of
    the layers' parents stay as they are.
    """
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            faster = _faster(layer)
            if faster is not None:
                setattr(parent, name, faster)


def _faster(layer: nn.Module) -> nn.Module | None:
    if type(layer) is nn.Conv2d and layer.bias is None and layer.padding_mode == "zeros":
        if layer.in_channels == layer.groups == layer.out_channels and not isinstance(layer.padding, str):
            return DepthwiseConv(layer)
        if layer.groups == 1 and layer.kernel_size == (1, 1) and layer.padding == (0, 0):
            return PointwiseConv(layer)
    if type(layer) is nn.AvgPool2d:
        return AvgPool(**{name: getattr(layer, name) for name in layer.__constants__})
    if type(layer) is nn.MaxPool2d and not layer.return_indices:
        return MaxPool(**{name: getattr(layer, name) for name in layer.__constants__})
    return None


def is_small(states: Tensor) -> bool:
    """Whether states (B, C, H, W) are of the kind that is faster here."""
    _, channels, height, width = states.shape
    fits = height * width <= LARGEST_MAP and channels <= MOST_CHANNELS
    return fits and states.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class _SharedConv(nn.Conv2d):
    """A convolution without bias that takes over the weight of another one."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            layer.groups,
            bias=False,
            device="meta",  # so that nothing is drawn
        )
        self.weight = layer.weight


class DepthwiseConv(_SharedConv):
    """A convolution of each channel with its own kernel."""

    def forward(self, states: Tensor) -> Tensor:
        count, channels, height, width = states.shape
        pixels = height * width
        slow = max(self.dilation) > 1 or pixels <= UNDILATED_MAP or pixels * channels <= UNDILATED_VALUES
        if not (slow and is_small(states)):
            return super().forward(states)
        taps, (new_height, new_width) = tap_matrices(
            *(self.kernel_size, self.stride, self.padding, self.dilation), height, width, states.dtype
        )  # (taps, H*W * H'*W')
        kernels = (self.weight.flatten(1) @ taps).view(channels, pixels, -1)  # (C, H*W, H'*W')
        spread = torch.bmm(states.flatten(2).transpose(0, 1), kernels)  # (C, B, H'*W')
        return spread.view(channels, count, new_height, new_width).transpose(0, 1)


class PointwiseConv(_SharedConv):
    """A 1x1 convolution of any stride."""

    def forward(self, states: Tensor) -> Tensor:
        if not is_small(states):
            return super().forward(states)
        states = states[:, :, :: self.stride[0], :: self.stride[1]].transpose(0, 1)  # (C, B, H', W')
        mixed = self.weight.flatten(1) @ states.flatten(1)  # (C', B*H'*W')
        return mixed.view(-1, *states.shape[1:]).transpose(0, 1).contiguous()


class AvgPool(nn.AvgPool2d):
    """Average pooling; a matrix that no weight changes."""

    def forward(self, states: Tensor) -> Tensor:
        if not is_small(states):
            plain: Tensor = super().forward(states)
            return plain
        settings = tuple(getattr(self, name) for name in self.__constants__)
        matrix, shape = pool_matrix(settings, states.shape[2], states.shape[3], states.dtype)  # (H*W, H'*W')
        pooled: Tensor = states.flatten(2) @ matrix
        return pooled.view(*states.shape[:2], *shape)


class MaxPool(nn.MaxPool2d):
    """Maximum pooling, which torch does faster with the channels last."""

    def forward(self, states: Tensor) -> Tensor:
        small = is_small(states)
        pooled: Tensor = super().forward(states.contiguous(memory_format=torch.channels_last) if small else states)
        return pooled.contiguous() if small else pooled


@cache
def tap_matrices(
    kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, height: int, width: int, dtype: torch.dtype
) -> tuple[Tensor, Pair]:
    """What each tap of a kernel does to a map of this size: 0/1, (taps, H*W * H'*W'), and (H', W').

    It is the answer of a convolution with each unit kernel to each unit map.
    """
    taps = kernel[0] * kernel[1]
    units = torch.eye(taps, dtype=dtype).view(taps, 1, *kernel)
    pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
    answers = functional.conv2d(pixels, units, None, stride, padding, dilation)  # (H*W, taps, H', W')
    return answers.transpose(0, 1).reshape(taps, -1), (answers.shape[2], answers.shape[3])


@cache
def pool_matrix(settings: tuple[Any, ...], height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Pair]:
    """What an average pooling does to a map of this size: (H*W, H'*W'), and (H', W').

    Args:
        settings: of the pooling, as `avg_pool2d` takes them.
    """
    pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
    answers = functional.avg_pool2d(pixels, *settings)
    return answers.flatten(1), (answers.shape[2], answers.shape[3])
