"""The transfer stage: trains a genotype on ImageNet (Section 4.2, last paragraph), on any number of GPUs.

Design choices: a step's gradient is the mean over one global batch, which is split into micro-batches. Each process
computes its own micro-batches one after the other. All random numbers depend on the seed, the epoch, and either the
index of the image or the position of its micro-batch in the epoch, but not on the process. The processes combine their
gradients and sums after each step. The number of processes therefore changes the result only by rounding. Batch norm
and mixup work on a micro-batch. The last images of an epoch are left out if they do not fill a global batch.
AutoAugment runs on the GPU or, if the device is a CPU, in the decoding processes; the pixels are the same.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.data import augment, autoaugment
from dropnas.data.batches import epoch_order
from dropnas.data.imagenet import ImageSource, TestTransform, TrainTransform, batches
from dropnas.errors import DropnasError
from dropnas.evaluate.cells import draw_paths, drop_path_masks
from dropnas.evaluate.config import TransferConfig
from dropnas.evaluate.imagenet_network import ImageNetNetwork
from dropnas.evaluate.learner import Learner, top_hits, with_auxiliary
from dropnas.evaluate.results import archive
from dropnas.evaluate.stack import shape_of
from dropnas.space.genotype import Genotype
from dropnas.training import determinism, precision, schedule
from dropnas.training.distributed import Combiner, Ranks, joined
from dropnas.training.loop import rows_of, train
from dropnas.training.seeding import derive, generator
from dropnas.workspace import Workspace

TRANSFER_TEST_BATCH = 200  # number of images; affects the results only by rounding


class Transfer:
    """Trains one network. If there are several processes, each has a Transfer, which computes a share of every step.

    Raises:
        DropnasError: `batch_size` is not a multiple of `micro_batch` times the number of processes, or there are too
            few images for one batch.
    """

    stopped = False

    def __init__(
        self,
        config: TransferConfig,
        genotype: Genotype,
        training: ImageSource,
        testing: ImageSource,
        workspace: Workspace,
        ranks: Ranks,
    ) -> None:
        _check_batch(config, len(training), ranks.world)
        self.config, self.training, self.testing = config, training, testing
        self.workspace, self.ranks, self.device = workspace, ranks, workspace.device
        self.normalise = augment.Normaliser(training.mean.to(self.device), training.std.to(self.device))
        self.accumulated = config.batch_size // config.micro_batch  # micro-batches in a step, over all processes
        self.own = self.accumulated // ranks.world  # micro-batches in a step, in this process
        self.first = ranks.rank * self.own  # index of this process's first micro-batch in a step
        sides = (config.image_size, config.image_size)
        # On a CPU, the decoding processes apply AutoAugment, so that this process has less to do.
        self.augmenting = ("decoding" if self.device == "cpu" else "device") if config.autoaugment else "nowhere"
        if config.autoaugment:
            autoaugment.make_tables(autoaugment.IMAGENET, *sides, self.device)
        shape = shape_of("imagenet", config, training.classes, sides, config.squeeze_excitation)
        self.learner = Learner(ImageNetNetwork(shape, genotype), shape, config, self.device)
        self.combiner = Combiner(self.learner.network, self.own, ranks)
        self.images_seen = 0  # seen by all processes since this one started; used for the throughput
        self.drop_path = 0.0
        self.batches: Iterator[tuple[Tensor, Tensor]] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return len(self.training) // self.config.batch_size

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rate and drop-path rate of the epoch. Its first step starts the decoding of images."""
        self.learner.start_epoch(learning_rate(self.config, epoch))
        self.drop_path = schedule.linear(0.0, self.config.drop_path, epoch, self.config.epochs)
        self.batches = None

    def step(self, epoch: int, step: int) -> Tensor:
        if self.batches is None:
            self.batches = self._batches(epoch, step)
        self.combiner.start_step()
        sums = torch.zeros(2, device=self.device)  # loss and top-1 hits in this process
        for micro_batch in range(self.first, self.first + self.own):
            sums += self._accumulate(*next(self.batches), position=(epoch, step, micro_batch))
        self.combiner.finish_step(sums)
        self.learner.descend()
        loss = sums[0] / self.accumulated
        self.learner.count(loss, sums[1], self.config.batch_size)
        self.images_seen += self.config.batch_size
        return loss[None]

    def finish_epoch(self, epoch: int) -> list[Row]:
        row = self.learner.training_row()
        return [{**row, "drop_path": self.drop_path, **self.learner.evaluate(self._test_batches(), self.ranks)}]

    def state_dicts(self) -> list[dict[str, Any]]:
        """The state, which is the same in all processes between two steps. No random state needs to be saved."""
        return [{"learner": self.learner.state_dict()}]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        self.learner.load_state_dict(states[0]["learner"])

    def _accumulate(self, images: Tensor, labels: Tensor, position: tuple[int, int, int]) -> Tensor:
        """Add the gradient of one micro-batch. Return its mean loss and its top-1 hits in a tensor of shape (2,)."""
        config = self.config
        images, labels = self._augmented(images, position), labels.to(self.device, non_blocking=True)
        targets = [(1.0, labels)]
        if config.mixup:
            share, others = _mixup(config, position, len(labels))
            others = others.to(self.device, non_blocking=True)
            images = share * images + (1 - share) * images[others]
            targets = [(share, labels), (1 - share, labels[others])]
        masks = self._masks(len(labels), position)
        with self.learner.layers.computing():
            outputs = self.learner.outputs(images, masks)
            loss = torch.zeros((), device=self.device)
            hits = torch.zeros((), device=self.device)
            for weight, wanted in targets:
                loss = loss + weight * with_auxiliary(outputs, wanted, config.auxiliary_weight, config.label_smoothing)
                hits = hits + weight * top_hits(outputs[0].detach(), wanted, 1)
        (loss / self.accumulated).backward()  # type: ignore[no-untyped-call]
        return torch.stack([loss.detach(), hits])

    def _masks(self, images: int, position: tuple[int, int, int]) -> Tensor | None:
        """The drop-path masks of a micro-batch, drawn on the CPU for any device; None if drop-path is off."""
        if not self.drop_path:
            return None
        random = generator(self.config.seed, "drop-path", *position)
        kept = draw_paths(self.learner.network.stack.edges, images, self.drop_path, random)
        return drop_path_masks(kept.to(self.device, non_blocking=True), 1 / (1 - self.drop_path))

    def _augmented(self, images: Tensor, position: tuple[int, int, int]) -> Tensor:
        """Apply AutoAugment if it runs on the device, then `_prepare`."""
        if self.augmenting == "device":
            drawn = _operations(len(images), self.config.seed, position).to(self.device, non_blocking=True)
            images = autoaugment.augment(images.to(self.device, non_blocking=True), autoaugment.IMAGENET, drawn)
        return self._prepare(images)

    def _prepare(self, images: Tensor) -> Tensor:
        """The normalised images of a uint8 batch (B, 3, S, S), on the device; valid until the next call."""
        return self.normalise(images.to(self.device, non_blocking=True))

    def _batches(self, epoch: int, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The micro-batches of this process in an epoch, starting at a step."""
        config = self.config
        order = epoch_order(len(self.training), config.seed, epoch)[: self.steps_per_epoch * config.batch_size]
        shares = order.view(self.steps_per_epoch, self.ranks.world, -1)  # (steps, processes, images)
        transform = TrainTransform(config.image_size, config.seed, epoch)
        decoding = self.augmenting == "decoding"
        return batches(
            self.training,
            transform,
            shares[:, self.ranks.rank].reshape(-1),
            config.micro_batch,
            start=step * self.own,
            workers=self.workspace.workers,
            finish=partial(_autoaugmented, config.seed, epoch, self.own, self.first) if decoding else None,
        )

    def _test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The test batches of this process; together, the processes test each image of the split once."""
        count = len(self.testing)
        size = next(
            size for size in range(TRANSFER_TEST_BATCH, 1, -1) if count % size != 1
        )  # avoids a last batch of one image
        tests = batches(
            self.testing,
            TestTransform(self.config.image_size),
            torch.arange(count),
            size,
            rank=self.ranks.rank,
            world=self.ranks.world,
            workers=self.workspace.workers,
        )
        for images, labels in tests:
            yield self._prepare(images), labels.to(self.device, non_blocking=True)


def _autoaugmented(seed: int, epoch: int, own: int, first: int, images: list[Tensor], number: int) -> list[Tensor]:
    """Apply AutoAugment to one micro-batch. This runs in a decoding process.

    `number` is the index of the micro-batch in the epoch, counted in one training process. This process computes `own`
    micro-batches in each step. `first` is the index of the first of them in the step, counted over all processes. This
    is not a method, because a reference to the Transfer would keep the decoding processes alive.
    """
    position = (epoch, number // own, first + number % own)
    return autoaugment.augment_each(images, autoaugment.IMAGENET, _operations(len(images), seed, position))


def _operations(count: int, seed: int, position: tuple[int, int, int]) -> Tensor:
    """Draw AutoAugment's operations for a micro-batch on the CPU; they depend only on the seed and the position."""
    return autoaugment.draw(autoaugment.IMAGENET, count, generator(seed, "autoaugment", *position))


def learning_rate(config: TransferConfig, epoch: int) -> float:
    """Linear warm-up to the full rate, then cosine or linear decay to zero; epochs are counted from 0."""
    if epoch < config.warmup_epochs:
        return schedule.warm_up(config.learning_rate, epoch, config.warmup_epochs)
    decay = schedule.cosine if config.schedule == "cosine" else schedule.linear
    return decay(config.learning_rate, 0.0, epoch - config.warmup_epochs, config.epochs - config.warmup_epochs)


def run(config: TransferConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Train the genotype of a `derive` or `select` run on ImageNet; under torchrun, each process calls this.

    The inputs are the prepared dataset (files or arrays) and the run with genotype.json. Writes the files of
    `results.archive`. Returns `images_per_second`, the number of training images of all processes divided by the total
    time, evaluation included.

    Raises:
        DropnasError: a damaged input, a batch that cannot be divided among the processes, or a loss that is not finite.
    """
    determinism.apply(config.seed, workspace.device, workspace.threads)
    precision.apply(config.precision)
    data, genotype = inputs[0], Genotype.read(inputs[1])
    training, testing = (ImageSource(data, split, workspace.location) for split in ("train", "test"))
    with joined(workspace.device) as ranks:
        trainee = Transfer(config, genotype, training, testing, workspace, ranks)
        started = time.monotonic()
        (result,) = train(trainee, config.epochs, [workspace], ranks)
        rows, seconds = rows_of(result), time.monotonic() - started
        if ranks.leads:
            archive(out, genotype, trainee.learner.shape, trainee.learner.network, rows, len(testing))
    return {"images_per_second": trainee.images_seen / seconds}


def _mixup(config: TransferConfig, position: tuple[int, int, int], count: int) -> tuple[float, Tensor]:
    """Draw a micro-batch's mixup weight from Beta(mixup, mixup), and the index of each image's partner.

    Source: Zhang et al., ICLR 2018.
    """
    random = np.random.default_rng(derive(config.seed, "mixup", *position))
    return float(random.beta(config.mixup, config.mixup)), torch.from_numpy(random.permutation(count))


def _check_batch(config: TransferConfig, images: int, world: int) -> None:
    if config.batch_size % (config.micro_batch * world):
        raise DropnasError(
            f"batch_size {config.batch_size} is no multiple of micro_batch {config.micro_batch} x {world} processes",
            remedy="change one of the three; batch_size and micro_batch change the result",
        )
    if images < config.batch_size:
        raise DropnasError(
            f"{images} training images do not fill one batch of {config.batch_size}", remedy="use a smaller batch_size"
        )
