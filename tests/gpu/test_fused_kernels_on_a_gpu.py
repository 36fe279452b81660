"""The Triton kernels on a GPU against torch's own kernels in double precision, in forward and backward passes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks._workloads import compile_triton_kernels
from dropnas.search.architecture import kept_rows
from dropnas.search.engine.engine import Engine
from dropnas.search.triton.backend import make_backend
from dropnas.space.spaces import ORIGINAL
from tests.unit.search.made_supernets import alphas_of, images_of, labels_of, make, masks_of

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICE, SEEDS, SIDE, BATCH, CHANNELS = "cuda", 2, 16, 16, 16


def passed(dtype: torch.dtype, fused: bool) -> Callable[[], list[Tensor]]:
    """A pass of some seeds: logits, the gradient of the mixing weights, and that of all weights, flattened."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    supernets = [make(ORIGINAL, seed, channels=CHANNELS).to(DEVICE, wide) for seed in range(SEEDS)]
    engine = Engine(supernets, static=True, backend=make_backend()[0] if fused else None)
    weights = [weight for supernet in supernets for weight in supernet.parameters()]
    kept = torch.stack([masks_of(ORIGINAL, 0.3, seed) for seed in range(SEEDS)])
    pairs = zip((alphas_of(ORIGINAL, seed) for seed in range(SEEDS)), kept, strict=True)
    rows = torch.stack([kept_rows(alphas, of_seed, supernets[0].kinds) for alphas, of_seed in pairs])
    rows = rows.detach().to(DEVICE, wide).requires_grad_()
    images = torch.stack([images_of(SIDE, seed, BATCH) for seed in range(SEEDS)]).to(DEVICE, wide)
    labels = torch.stack([labels_of(seed, BATCH) for seed in range(SEEDS)]).to(DEVICE)

    def run() -> list[Tensor]:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = engine.mix(images, rows, kept.to(DEVICE))
            loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        of_rows, *of_weights = torch.autograd.grad(loss, [rows, *weights], allow_unused=True)
        joined = torch.cat([each.flatten() for each in of_weights if each is not None])
        return [value.detach().double() for value in (logits, of_rows, joined)]

    return run


@pytest.mark.parametrize(("dtype", "agreement"), [(torch.bfloat16, 0.3), (torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_passes_agree(dtype: torch.dtype, agreement: float) -> None:
    """Each tensor is compared by its norm. The kernels differ between types, so all are first compiled on all cores."""
    program = passed(dtype, fused=True)
    compile_triton_kernels(program)
    for ours, right in zip(program(), passed(torch.float64, fused=False)(), strict=True):
        assert (ours - right).norm() <= agreement * right.norm()
