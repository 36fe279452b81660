"""AutoAugment on a GPU gives the same pixels as on a CPU."""

import pytest
import torch

from dropnas.data import autoaugment
from dropnas.training.seeding import generator

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
COUNT, SIDE = 150, 32


@pytest.mark.parametrize("policy", [autoaugment.CIFAR_POLICY, autoaugment.IMAGENET], ids=["CIFAR", "ImageNet"])
def test_a_gpu_gives_the_same_pixels(policy: autoaugment.Policy) -> None:
    pytest.importorskip("torchvision", reason="some operations are torchvision's")
    shape = (COUNT, 3, SIDE, SIDE)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator(0, "noise"))
    images = images // torch.arange(1, 5).repeat(COUNT)[:COUNT, None, None, None].byte()  # some are dark
    drawn = autoaugment.draw(policy, COUNT, generator(1, "policy"))
    expected = autoaugment.augment(images, policy, drawn)
    found = autoaugment.augment(images.cuda(), policy, drawn.cuda()).cpu()
    assert (found.int() - expected.int()).abs().max() <= 1  # due to the order of a sum
    assert (found != expected).float().mean() < 1e-4
