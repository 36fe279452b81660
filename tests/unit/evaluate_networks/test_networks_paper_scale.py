"""A forward and a backward pass of the paper's networks at full size, on real images if available."""

import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import center_crop, pil_to_tensor

from dropnas.evaluate.cells import draw_paths, drop_path_masks
from dropnas.evaluate.inspect import paper_shape
from dropnas.evaluate.networks import build
from dropnas.space.published import load_genotype
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator

IMAGENET_SAMPLE = Path(__file__).parents[3] / "../shared/data/imagenet-sample.tar"

pytestmark = pytest.mark.slow


def backward(name, network, images):
    shape = paper_shape(network, pool_norm=True, squeeze_excitation=network == "imagenet")
    module = build(shape, load_genotype(name))
    initialise(module, generator(0, "initialisation"))
    kept = draw_paths(module.stack.edges, len(images), 0.2, generator(0, "drop-path"))
    logits, auxiliary = module.train()(images, drop_path_masks(kept, 1 / 0.8))
    targets = torch.arange(len(images))
    loss = torch.nn.functional.cross_entropy(logits, targets)
    (loss + 0.4 * torch.nn.functional.cross_entropy(auxiliary, targets)).backward()
    assert torch.isfinite(loss)
    for weight_name, weight in module.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), weight_name


@pytest.mark.parametrize("name", ["dropnas_c10", "nasnet_a"])
def test_the_cifar_network(name):
    backward(name, "cifar10", torch.randn(2, 3, 32, 32, generator=generator(0, "images")))


@pytest.mark.parametrize("name", ["dropnas_c100"])
def test_the_imagenet_network_on_real_images(name):
    if not IMAGENET_SAMPLE.exists():
        pytest.skip("the sample of ImageNet is absent")
    with tarfile.open(IMAGENET_SAMPLE) as archive:
        members = [member for member in archive if member.isfile()][:2]
        decoded = [Image.open(archive.extractfile(member)).convert("RGB") for member in members]
    images = torch.stack([center_crop(pil_to_tensor(image), [224, 224]) for image in decoded]).float() / 255
    backward(name, "imagenet", (images - images.mean()) / images.std())
