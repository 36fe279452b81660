"""The three precisions and their settings in torch: fp32 is the reference; tf32 and bf16 are faster but round more.

Design choices: torch's precision settings hold for the whole process, and several runs may share a process. Each run
therefore sets all of them at its start. Weights, gradients and optimiser state are float32 in all three precisions.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

from dropnas.training.config import Precision


def apply(precision: Precision) -> None:
    """Set how a GPU computes float32 matrix products and convolutions: in float32 for fp32, otherwise in TF32."""
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    # Half-precision products are always summed in float32; by default, cuBLAS may sum them in half precision.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


def autocast(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Return the context of a forward pass: torch's autocast for bf16, and a null context for fp32 and tf32.

    Casts are not cached: each weight is used once in a pass, and a recorded graph must contain its own casts.
    """
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, cache_enabled=False)
