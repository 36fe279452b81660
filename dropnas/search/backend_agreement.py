"""Checks that the kernels of a backend agree with torch's on this device, before a search uses them.

Design choices: torch and the backend compute the logits and the gradients for a few images. The reference is a pass
with torch's kernels in single precision. The backend's error may be at most a small multiple of torch's own error in
the precision of the search, plus a small tolerance.
"""

from copy import copy

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.data import augment
from dropnas.data.arrays import ImageArrays
from dropnas.errors import DropnasError
from dropnas.search.config import SearchConfig
from dropnas.search.engine.engine import Engine
from dropnas.training import precision
from dropnas.training.config import Precision
from dropnas.training.precision import autocast

IMAGES_PER_SEED = 8  # for each seed
ALLOWED = 1e-3  # difference, relative to the norm, that is allowed in addition to FACTOR times torch's error
FACTOR = 3.0  # allowed multiple of torch's own rounding error


def require_agreement(engine: Engine, images: ImageArrays, config: SearchConfig) -> None:
    """Compare a pass of an engine with the same pass through torch's kernels. The engine is not changed.

    Raises:
        DropnasError: the results differ by more than rounding explains.
    """
    plain = copy(engine)
    plain.backend = None
    exact = _pass(plain, images, "fp32")
    rounded = _pass(plain, images, config.precision)
    precision.apply(config.precision)
    ours = _pass(engine, images, config.precision)
    for name, right, torchs, found in zip(
        ("logits", "gradient of w", "gradient of alpha"), exact, rounded, ours, strict=True
    ):
        limit = ALLOWED + FACTOR * _distance(torchs, right)
        difference = _distance(found, right)
        if not difference <= limit:  # NaN counts as a difference, too
            raise DropnasError(
                f"kernels {config.kernels!r} differ from torch's: {name} by {difference:.2g} of its norm, "
                f"allowed are {limit:.2g}",
                where=str(images.images.device),
                remedy="set search.kernels: torch",
            )


def _pass(engine: Engine, images: ImageArrays, kind: Precision) -> list[Tensor]:
    """Return logits and gradients for a batch of the first images, with equal mixing weights."""
    precision.apply(kind)
    first, seeds = engine.supernets[0], len(engine.supernets)
    count = min(IMAGES_PER_SEED, len(images))
    chosen = augment.normalise(images.batch(torch.arange(count, device=images.labels.device)), images.mean, images.std)
    edges, operations = first.edges_and_operations
    mixing = chosen.new_full((seeds, len(first.kinds), edges, operations), 1 / operations).requires_grad_()
    with autocast(kind, chosen.device.type):
        logits = engine.mix(chosen.expand(seeds, *chosen.shape), mixing, update_statistics=False)
        loss = functional.cross_entropy(logits.flatten(0, 1), images.labels[:count].repeat(seeds))
    weights = [weight for supernet in engine.supernets for weight in supernet.parameters()]
    of_mixing, *of_weights = torch.autograd.grad(loss, [mixing, *weights], materialize_grads=True)
    return [logits.detach(), torch.cat([gradient.flatten() for gradient in of_weights]), of_mixing]


def _distance(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right.double()).norm() / right.double().norm())
