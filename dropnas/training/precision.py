"""The three precisions set in torch: fp32 is the reference, tf32 and bf16 are faster and round more.

Design: precision is process-wide in torch, so it is set at the start of each run, both ways: several runs may share a
process. Weights, gradients and optimiser state stay float32 in all three.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

from dropnas.training.config import Precision


def apply(precision: Precision) -> None:
    """Set how float32 matrix products and convolutions are computed on a GPU: exactly, or by TF32 (tf32 and bf16)."""
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    # Products of half precision are summed in float32 throughout, which torch by default leaves to cuBLAS.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


def autocast(precision: Precision, device: str) -> AbstractContextManager[object]:
    """The context of a forward pass: bfloat16 where torch thinks it safe for bf16, nothing otherwise.

    Casts are not remembered: each weight is used once in a pass, and a recorded graph must make its casts itself.
    """
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, cache_enabled=False)
