"""Small supernets in double precision, their inputs, and a comparison with the plain one."""

import torch
from torch import Tensor

from dropnas.search.architecture import Alphas, initial_alphas
from dropnas.search.dropout import sample_masks
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import SearchSpace
from dropnas.training.initialisation import initialise
from dropnas.training.seeding import generator

CELLS, CHANNELS, CLASSES, BATCH = 4, 3, 5, 4  # cells: two normal ones, two reductions
AGREEMENT = 1e-9  # relative to each tensor's largest magnitude


def make(space: SearchSpace, seed: int, cells: int = CELLS, channels: int = CHANNELS) -> Supernet:
    supernet = Supernet(space, channels, cells, CLASSES)
    initialise(supernet, generator(seed, "weights"))
    return supernet.double()


def alphas_of(space: SearchSpace, seed: int) -> Alphas:
    drawn = initial_alphas(space, 0.5, generator(seed, "alphas"))
    return Alphas(*(alpha.double().requires_grad_() for alpha in drawn))


Sides = int | tuple[int, int]  # height and width; a single number means both


def images_of(sides: Sides, seed: int, batch: int = BATCH) -> Tensor:
    height, width = sides if isinstance(sides, tuple) else (sides, sides)
    return torch.randn(batch, 3, height, width, generator=generator(seed, "images"), dtype=torch.float64)


def labels_of(seed: int, batch: int = BATCH) -> Tensor:
    return (torch.arange(batch) + seed) % CLASSES


def masks_of(space: SearchSpace, probability: float, seed: int, cells: int = CELLS) -> Tensor:
    probabilities = torch.full((len(space.operations),), probability, dtype=torch.float64)
    return sample_masks(cells, probabilities, space.groups, generator(seed, "masks"))


def assert_close(name: str, ours: Tensor, theirs: Tensor, floor: float = 0.0) -> None:
    limit = AGREEMENT * max(float(theirs.detach().abs().max()), floor)
    assert float((ours - theirs).detach().abs().max()) <= limit, name


def assert_same_modules(ours: Supernet, plain: Supernet) -> None:
    """Gradients and running statistics equal the plain one's; if it has no gradient, ours is exactly zero."""
    gradients = [weight.grad for weight in plain.parameters() if weight.grad is not None]
    floor = 1e-6 * max(float(gradient.abs().max()) for gradient in gradients)
    for (name, weight), right in zip(ours.named_parameters(), plain.parameters(), strict=True):
        if right.grad is not None:
            assert weight.grad is not None
            assert_close(name, weight.grad, right.grad, floor)
        elif weight.grad is not None:
            assert (weight.grad == 0).all(), name
    for norm, right in zip(ours.modules(), plain.modules(), strict=True):
        for name, value in right.named_buffers(recurse=False):
            assert_close(name, getattr(norm, name).double(), value.double(), floor=1.0)
        if isinstance(right, torch.nn.BatchNorm2d) and not right.num_batches_tracked:
            assert all(map(torch.equal, norm.buffers(), right.buffers()))
