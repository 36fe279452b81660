"""A search space of one's own: the original one with a pointwise convolution in the place of the dilated 5x5."""

from dropnas.space.spaces import SearchSpace

POINTWISE = SearchSpace(
    "pointwise",
    parameterised=("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "warm_dropout.operations:pointwise"),
    non_parameterised=("max_pool_3x3", "avg_pool_3x3", "skip_connect", "none"),
)
