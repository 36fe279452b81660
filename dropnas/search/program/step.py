"""A training step of K searches as one static program (Section 2.3), to be captured as a graph.

Design choices: it does what `GroupedDropout.step` does, with masks as tensors: what is dropped is computed with weight
zero and has gradient zero, and masks choose what decays and moves. It reads the draws of the epoch and a counter that
it moves on itself, and leaves losses and hits in tables; so nothing comes from the host and nothing goes there.
The weights of a search lie in one row, of which the supernet's parameters are views: clipping, momentum and decay are
a few operations on (K, weights) instead of some on each of thousands of tensors.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropnas.data import augment
from dropnas.data.arrays import ImageArrays
from dropnas.search.architecture import Alphas, alpha_adjust, kept_softmax
from dropnas.search.config import DropoutOptions, SearchConfig
from dropnas.search.dropout import Kept
from dropnas.search.engine.supernet import FastSupernet
from dropnas.search.engine.together import SupernetsTogether
from dropnas.search.program.descent import Averages, adam, clipped, only, sgd
from dropnas.search.program.draws import Draws
from dropnas.search.supernet import REDUCE, Supernet
from dropnas.search.triton.fused_edges import check_kernels
from dropnas.training.precision import autocast


class Moving(NamedTuple):
    """All that a step moves, but for the running statistics of the supernets.

    Attributes:
        weights: (K, weights), of which the parameters of the supernets are views.
        velocity: the same shape, momentum.
        alphas: (K, 2, edges, operations), a leaf; normal and reduce.
        averages: what Adam remembers of them.
        counter: int64 (1,), the next step of the epoch.
        losses: (steps, K), of the epoch's steps so far.
        hits: int64 (steps, K), images that were classified rightly.
    """

    weights: Tensor
    velocity: Tensor
    alphas: Tensor
    averages: Averages
    counter: Tensor
    losses: Tensor
    hits: Tensor

    def tensors(self) -> list[Tensor]:
        """All of them."""
        return [self.weights, self.velocity, self.alphas, *self.averages, self.counter, self.losses, self.hits]


class Gradients(NamedTuple):
    """Of w (K, weights) and alpha (K, 2, edges, operations)."""

    weights: Tensor
    alphas: Tensor


def start(supernets: Sequence[Supernet], alphas: Sequence[Alphas], steps: int) -> Moving:
    """What moves, at its start; the parameters of the supernets become views of `weights`."""
    weights = torch.stack([_in_a_row(supernet.parameters()) for supernet in supernets])
    for row, supernet in zip(weights, supernets, strict=True):
        nn.utils.vector_to_parameters(row, supernet.parameters())
    leaf = torch.stack([torch.stack(list(of_one)) for of_one in alphas]).to(weights.device)
    steps_of_adam = torch.zeros(len(alphas), dtype=torch.float64, device=weights.device)
    return Moving(
        weights=weights,
        velocity=torch.zeros_like(weights),
        alphas=leaf.requires_grad_(),
        averages=Averages(leaf.detach().new_zeros(leaf.shape), leaf.detach().new_zeros(leaf.shape), steps_of_adam),
        counter=torch.zeros(1, dtype=torch.int64, device=weights.device),
        losses=weights.new_zeros(steps, len(alphas)),
        hits=torch.zeros(steps, len(alphas), dtype=torch.int64, device=weights.device),
    )


class Step:
    """The program: call it with the number of images of the batch.

    Attributes:
        fused: whether it launches kernels that must be compiled first.
    """

    def __init__(
        self,
        config: SearchConfig,
        options: DropoutOptions,
        supernets: Sequence[FastSupernet],
        moving: Moving,
        draws: Draws,
        images: ImageArrays,
    ) -> None:
        """Take K supernets, what moves, the draws of an epoch and all training images, on one device."""
        self.config, self.options, self.images = config, options, images
        self.moving, self.draws = moving, draws
        self.fused = config.kernels == "triton" and moving.weights.is_cuda
        if self.fused:
            check_kernels()
        self.supernets = SupernetsTogether(supernets, self.fused)
        self.parameters = [weight for supernet in supernets for weight in supernet.parameters()]
        self.rate = moving.weights.new_zeros(())  # learning rate of w
        self.places = _places(supernets[0], draws.cells[0, 0].numel()).to(moving.weights.device)
        reductions = [[[kind == REDUCE]] for kind in supernets[0].kinds]
        self.reductions = torch.tensor(reductions, device=moving.weights.device)  # (cells, 1, 1)
        self.numbers = torch.arange(len(moving.losses), device=moving.weights.device)

    def __call__(self, size: int) -> None:
        """Train each search on its next batch of `size` images: loss step, decay step, alpha-adjust."""
        drawn = self.draws.of_step(self.moving.counter)
        kept = Kept(drawn.cells, drawn.kinds)
        before = self.moving.alphas.detach().clone()
        gradients = self._differentiate(drawn, kept, size)
        with torch.no_grad():
            self._descend(kept, gradients)
            if self.options.decay == "released":
                self._decay(kept)
            adjusted = alpha_adjust(before, self.moving.alphas, kept.kinds, self.options.alpha_adjust)
            self.moving.alphas.copy_(adjusted)
            self.moving.counter.add_(1)

    def _differentiate(self, drawn: Draws, kept: Kept, size: int) -> Gradients:
        """The gradients of the loss; loss and hits are written down."""
        chosen = drawn.order[:, :size]
        labels = self.images.labels[chosen]  # (K, B)
        images = self._augmented(chosen, drawn.places[..., :size], drawn.flips[:, :size])
        normal, reduce = self.moving.alphas[:, :1], self.moving.alphas[:, 1:]
        rows = kept_softmax(torch.where(self.reductions, reduce, normal), kept.cells)  # (K, cells, edges, operations)
        with autocast(self.config.precision, self.moving.weights.device.type):
            logits = self.supernets.mix(images, rows, kept.cells)
            losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
            losses = losses.view(labels.shape).mean(dim=1)
        self._note(losses.detach(), (logits.detach().argmax(dim=2) == labels).sum(dim=1))
        of_alphas, *of_weights = torch.autograd.grad(losses.sum(), [self.moving.alphas, *self.parameters])
        return Gradients(_in_a_row(of_weights).view_as(self.moving.weights), of_alphas)

    def _augmented(self, chosen: Tensor, places: Tensor, flips: Tensor) -> Tensor:
        """The chosen images after crop and flip, normalised: (K, B, 3, H, W)."""
        images = self.images.batch(chosen.flatten())
        images = augment.crop(images, self.config.crop_padding, places.flatten(1))
        images = augment.flip(images, flips.flatten())
        images = augment.normalise(images, self.images.mean, self.images.std)
        return images.view(*chosen.shape, *images.shape[1:])

    def _note(self, losses: Tensor, hits: Tensor) -> None:
        here = (self.numbers == self.moving.counter)[:, None]
        self.moving.losses.copy_(torch.where(here, losses, self.moving.losses))
        self.moving.hits.copy_(torch.where(here, hits, self.moving.hits))

    def _descend(self, kept: Kept, gradients: Gradients) -> None:
        """The loss step: clip the gradient of w (never that of alpha), add L2 if decay is `l2`, move both."""
        gradients = gradients._replace(weights=clipped(gradients.weights, self.config.gradient_clip))
        moving = kept
        if self.options.decay == "l2":
            moving = self._decaying(kept)
            decay = self._decay_of(moving, factor=1)
            gradients = Gradients(*(one + other for one, other in zip(gradients, decay, strict=True)))
        self._move(moving, gradients)

    def _decay(self, kept: Kept) -> None:
        """The decay step: the gradient of lambda * ||.||^2 over what was kept, clipped as well; move both again."""
        decaying = self._decaying(kept)
        decay = self._decay_of(decaying, factor=2)
        self._move(decaying, decay._replace(weights=clipped(decay.weights, self.config.gradient_clip)))

    def _decaying(self, kept: Kept) -> Kept:
        """What decays: with partial decay what was kept, otherwise everything."""
        if self.options.decay_scope == "kept":
            return kept
        return Kept(torch.ones_like(kept.cells), torch.ones_like(kept.kinds))

    def _decay_of(self, decaying: Kept, factor: int) -> Gradients:
        """factor * lambda * w and factor * lambda * alpha of what decays, 0 elsewhere."""
        return Gradients(
            factor * self.config.weight_decay * self.moving.weights * self._of_weights(decaying.cells),
            factor * self.config.alpha_weight_decay * self.moving.alphas * decaying.kinds,
        )

    def _move(self, moving: Kept, gradients: Gradients) -> None:
        """A step of both optimisers; with `frozen`, what does not move keeps its momentum and averages, too."""
        now, config = self.moving, self.config
        weights, velocity = sgd(now.weights, now.velocity, gradients.weights, self.rate, config.momentum)
        betas = (config.alpha_beta1, config.alpha_beta2)
        alphas, averages = adam(now.alphas, now.averages, gradients.alphas, config.alpha_learning_rate, betas)
        before = (now.weights, now.velocity, now.alphas, *now.averages[:2])
        after: Sequence[Tensor] = (weights, velocity, alphas, *averages[:2])
        if self.options.dropped == "frozen":
            masks = [self._of_weights(moving.cells)] * 2 + [moving.kinds] * 3
            after = [only(*values) for values in zip(masks, after, before, strict=True)]
        for old, new in zip(before, after, strict=True):
            old.copy_(new)
        now.averages.steps.copy_(averages.steps)

    def _of_weights(self, cells: Tensor) -> Tensor:
        """The mask of the operation that each weight belongs to: bool (K, weights); True off the edges."""
        keeps = torch.cat([cells.flatten(1), cells.new_ones(len(cells), 1)], dim=1)
        return keeps.index_select(1, self.places)


def _in_a_row(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def _places(supernet: Supernet, always: int) -> Tensor:
    """Of each single weight the flat place of its operation in a mask, `always` off the edges: int64 (weights,)."""
    weights = zip(supernet.parameters(), supernet.places, strict=True)
    return torch.cat([torch.full((w.numel(),), always if place is None else place) for w, place in weights])
