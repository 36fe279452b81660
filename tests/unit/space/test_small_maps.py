"""The matrices of small maps have the requested type, in any order of requests."""

import torch

from dropnas.space.small_maps import tap_matrices
from dropnas.training.precision import autocast


def test_autocast_does_not_change_their_type():
    tap_matrices.cache_clear()
    with autocast("bf16", "cpu"):
        matrices, sides = tap_matrices((3, 3), (1, 1), (1, 1), (1, 1), 2, 2, torch.float32)
    assert matrices.dtype == torch.float32 and matrices.shape == (9, 16) and sides == (2, 2)
