"""A user's operation."""

from torch import nn

from dropnas.space.operations import ReLUConvBN


def pointwise(channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    """ReLU, 1x1 convolution, batch norm."""
    return ReLUConvBN(channels, channels, 1, stride, 0, affine)
