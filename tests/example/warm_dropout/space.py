"""A user's search space: the original one with a pointwise convolution instead of the dilated 5x5 one."""

from dropnas.space.spaces import SearchSpace

POINTWISE = SearchSpace(
    "pointwise",
    parameterised=("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "warm_dropout.operations:pointwise"),
    non_parameterised=("max_pool_3x3", "avg_pool_3x3", "skip_connect", "none"),
)
