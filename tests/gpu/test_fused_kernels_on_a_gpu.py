"""The Triton kernels on a GPU against torch's convolutions on a CPU in double precision: a pass there and back."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks._workloads import compile_triton_kernels
from dropnas.search.architecture import kept_rows
from dropnas.search.engine.supernet import FastSupernet
from dropnas.search.engine.together import SupernetsTogether
from dropnas.space.spaces import ORIGINAL
from tests.unit.search.made_supernets import alphas_of, images_of, labels_of, make, masks_of

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
SEEDS, SIDE, BATCH, CHANNELS = 2, 16, 16, 16


def passed(supernets: Sequence[FastSupernet], kept: Tensor, fused: bool) -> list[Tensor]:
    """Logits, the gradient of the mixing weights, and that of all weights in a row."""
    like = supernets[0].classifier.weight
    alphas = [alphas_of(ORIGINAL, seed) for seed in range(SEEDS)]
    rows = torch.stack([kept_rows(*each, supernets[0].kinds) for each in zip(alphas, kept, strict=True)])
    rows = rows.to(like.device, like.dtype).detach().requires_grad_()
    images = torch.stack([images_of(SIDE, seed, BATCH) for seed in range(SEEDS)]).to(like.device, like.dtype)
    labels = torch.stack([labels_of(seed, BATCH) for seed in range(SEEDS)]).to(like.device)
    logits = SupernetsTogether(supernets, fused).mix(images, rows, kept.to(like.device))
    loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(BATCH)
    weights = [weight for supernet in supernets for weight in supernet.parameters()]
    of_rows, *of_weights = torch.autograd.grad(loss, [rows, *weights], allow_unused=True)
    together = torch.cat([each.flatten() for each in of_weights if each is not None])
    return [value.detach().double().cpu() for value in (logits, of_rows, together)]


@pytest.mark.parametrize(("dtype", "agreement"), [(torch.bfloat16, 0.3), (torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_passes_agree(dtype: torch.dtype, agreement: float) -> None:
    """Of each tensor, by its norm. What is needed is compiled on all cores first: the types share no kernel."""
    kept = torch.stack([masks_of(ORIGINAL, 0.3, seed) for seed in range(SEEDS)])
    wide = torch.float64 if dtype == torch.float64 else torch.float32

    def passing(device: str, of: torch.dtype) -> Callable[[], list[Tensor]]:
        supernets = [make(FastSupernet, ORIGINAL, seed, channels=CHANNELS).to(device, of) for seed in range(SEEDS)]

        def run() -> list[Tensor]:
            short = device == "cuda" and dtype == torch.bfloat16
            with torch.autocast(device, torch.bfloat16, enabled=short):
                return passed(supernets, kept, device == "cuda")

        return run

    compile_triton_kernels(passing("cuda", wide))
    for ours, right in zip(passing("cuda", wide)(), passing("cpu", torch.float64)(), strict=True):
        assert (ours - right).norm() <= agreement * right.norm()
