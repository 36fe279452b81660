"""Supernets on a GPU against the same on a CPU, in double precision: passes, batch norms, and how many seeds fit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dropnas.data.arrays import ImageArrays
from dropnas.search.architecture import Alphas, kept_rows
from dropnas.search.config import SearchConfig
from dropnas.search.engine.blocks import batch_norm
from dropnas.search.engine.engine import Engine
from dropnas.search.memory import fitting
from dropnas.search.seed_group import SeedGroup
from dropnas.space.spaces import ORIGINAL
from dropnas.training.graphs import recorder_for
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace
from tests.unit.search.made_supernets import (
    alphas_of,
    assert_close,
    images_of,
    make,
    masks_of,
)

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
SEEDS = 3
CONFIG = SearchConfig(cells=3, channels=4, batch_size=32, group_seeds=True)


def test_the_engine_agrees_with_the_plain_supernet() -> None:
    kept, images = masks_of(ORIGINAL, 0.3, seed=1), images_of(8, 0).cuda()
    found = []
    for by_engine in (True, False):
        supernet = make(ORIGINAL, 0).cuda()
        alphas = Alphas(*(alpha.detach().cuda().requires_grad_() for alpha in alphas_of(ORIGINAL, 0)))
        if by_engine:
            mixing = kept_rows(alphas, kept.cuda(), supernet.kinds)
            logits = Engine([supernet], static=True).mix(images[None], mixing[None], kept[None].cuda())[0]
        else:
            logits = supernet.mix(images, alphas, kept)
        weights = list(supernet.parameters())
        gradients = torch.autograd.grad(logits.logsumexp(1).sum(), [*alphas, *weights], materialize_grads=True)
        found.append([logits, *gradients])
    for number, (ours, right) in enumerate(zip(*found, strict=True)):
        assert_close(str(number), ours, right, floor=1e-6)


def test_each_seed_has_the_numbers_that_it_has_on_a_cpu() -> None:
    kept = torch.stack([masks_of(ORIGINAL, 0.4, seed) for seed in range(SEEDS)])
    rows = torch.rand(kept.shape, dtype=torch.float64)
    images = torch.stack([images_of(8, seed) for seed in range(SEEDS)])
    found = []
    for device in ("cuda", "cpu"):
        supernets = [make(ORIGINAL, seed).to(device) for seed in range(SEEDS)]
        parameters = [weight for supernet in supernets for weight in supernet.parameters()]
        mixing = rows.to(device).requires_grad_()
        logits = Engine(supernets, static=True).mix(images.to(device), mixing, kept.to(device))
        gradients = torch.autograd.grad(logits.logsumexp(-1).sum(), [mixing, *parameters])
        buffers = [value for supernet in supernets for value in supernet.buffers()]
        found.append([value.detach().double().cpu() for value in (logits, *gradients, *buffers)])
    for number, (ours, right) in enumerate(zip(*found, strict=True)):
        assert_close(str(number), ours, right, floor=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("scaled", "rectify"), [(True, False), (False, True), (True, True)])
def test_batch_norm_on_a_gpu_is_that_on_a_cpu(dtype: torch.dtype, scaled: bool, rectify: bool) -> None:
    maps = torch.randn(4, 6, 5, 8, generator=generator(0, "maps"), dtype=torch.float64).to(dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    found = []
    for device in ("cuda", "cpu"):
        inputs = [maps.to(device), *(torch.linspace(0.5, 2, 8, dtype=wide, device=device) for _ in range(2))]
        for value in inputs:
            value.requires_grad_()
        scale, shift = (inputs[1].clone(), inputs[2].clone()) if scaled else (None, None)
        normal = batch_norm(inputs[0], scale, 1e-5, rectify, shift)
        loss = (normal.maps.to(wide) ** 3).sum()
        derivatives = torch.autograd.grad(loss, inputs[: 3 if scaled else 1], allow_unused=True)
        found.append([value.detach().double().cpu() for value in (*normal, *derivatives)])
    for ours, right in zip(*found, strict=True):
        assert (ours - right).abs().max() <= (1e-9 if dtype == torch.float64 else 0.02) * right.abs().max()


def test_as_many_fit_on_a_gpu_as_its_free_memory_holds() -> None:
    configs = [replace(CONFIG, seed=seed) for seed in range(2)]
    pixels = torch.zeros((64, 3, 16, 16), dtype=torch.uint8, device="cuda")
    mean, std = (torch.full((3,), 0.5, device="cuda") for _ in range(2))
    images = ImageArrays(pixels, torch.arange(64, device="cuda") % 5, 5, mean, std)
    recorder = recorder_for("cuda")

    def make_group(some: Sequence[SearchConfig]) -> SeedGroup:
        return SeedGroup(some, ORIGINAL, images, "cuda", recorder)

    fit = fitting(configs, images, Workspace(Path(), "run", device="cuda"), make_group)
    assert fit > 2
    hoard = torch.empty(int(0.5 * torch.cuda.mem_get_info()[0]), dtype=torch.uint8, device="cuda")
    assert fitting(configs, images, Workspace(Path(), "run", device="cuda"), make_group) < 0.7 * fit
    del hoard
