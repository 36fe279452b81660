"""The retrain stage: a genotype trained from scratch on CIFAR (Section 4.2, "Architecture Evaluation").

Design choices: the dataset and all random numbers of an epoch are on the device. A step gathers a batch there, augments
it and updates the weights without synchronising with the host. Steps and test batches can therefore be captured in CUDA
graphs. The test split is evaluated after every epoch: the final error is the result, and the lowest error is reported
separately. All seeds hold out the same training images, so their results are comparable.
"""

import time
from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dropnas.artifacts.metrics_file import Row
from dropnas.data import arrays, augment, batches
from dropnas.evaluate import small_images
from dropnas.evaluate.cells import drop_path_masks
from dropnas.evaluate.cifar_network import CifarNetwork
from dropnas.evaluate.config import RetrainConfig
from dropnas.evaluate.draws import Draws, augmented, draw
from dropnas.evaluate.learner import Learner, top_hits, with_auxiliary
from dropnas.evaluate.results import HELD_OUT_ERROR, archive
from dropnas.evaluate.stack import shape_of
from dropnas.space.genotype import Genotype
from dropnas.training import determinism, precision
from dropnas.training.graphs import GraphedPrograms, Program, Recorder, recorder_for
from dropnas.training.loop import rows_of, train
from dropnas.training.schedule import cosine, linear
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace

TEST_BATCH = 500  # number of images; affects the results only by rounding
ANY_SEED = 0  # seed of the held-out images, the same for all runs
EvaluationSplit = Literal["test", "held out"]
SPLITS: tuple[EvaluationSplit, ...] = ("test", "held out")


class Retraining:
    """Trains one network on a dataset whose two splits are on the device.

    Args:
        recorder: records the steps and the evaluation as CUDA graphs; None runs them directly.

    Raises:
        DropnasError: too few images would be left to train on.
    """

    stopped = False

    def __init__(
        self,
        config: RetrainConfig,
        genotype: Genotype,
        training: arrays.ImageArrays,
        testing: arrays.ImageArrays,
        device: str,
        recorder: Recorder | None = None,
    ) -> None:
        self.config, self.training, self.testing, self.device = config, training, testing, device
        parts = batches.apart(len(training), config.held_out, generator(ANY_SEED, "held-out images"))
        self.trained, self.held_out = (part.to(device) for part in parts)  # indices
        self.sizes = batches.sizes(len(self.trained), config.batch_size)  # sizes of an epoch's batches
        height, width = training.images.shape[2:]
        shape = shape_of("cifar", config, training.classes, (height, width))
        self.learner = Learner(CifarNetwork(shape, genotype), shape, config, device)
        if config.memory_format == "contiguous":
            self.learner.forward = small_images.fastest(self.learner.network, height * width, device)
        self.drop_path = 0.0
        self.path_scale = torch.ones((), device=device)  # factor by which drop-path scales the outputs that it keeps
        self.draws = self._draw(0).to(device)
        self.position = torch.zeros((), dtype=torch.int64, device=device)  # position of the batch's first image
        self.losses = torch.zeros(len(self.sizes), device=device)  # one loss for each step of the epoch
        self.steps = torch.arange(len(self.sizes), device=device)
        self.tests = torch.arange(len(testing), device=device)  # indices of all test images
        changed = [*self.learner.changed(), self.losses, self.learner.tested]
        self.programs = GraphedPrograms(self._programs(), changed, recorder)
        self.images_seen = 0  # counted in this process, for the throughput

    @property
    def steps_per_epoch(self) -> int:
        return len(self.sizes)

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rate and drop-path of the epoch, and draw all its random numbers from (seed, epoch)."""
        config = self.config
        self.learner.start_epoch(cosine(config.learning_rate, config.learning_rate_min, epoch, config.epochs))
        self.drop_path = linear(0.0, config.drop_path, epoch, config.epochs)
        self.path_scale.fill_(1 / (1 - self.drop_path))
        self.draws.take_over(self._draw(epoch))

    def step(self, epoch: int, step: int) -> Tensor:
        self._run(("train", self.sizes[step]), step * self.config.batch_size)
        self.images_seen += self.sizes[step]
        return self.losses[step : step + 1]

    def train_batch(self, size: int) -> None:
        """Train one step on `size` images, starting at `position`; all tensors that the step uses are on the device."""
        config, learner, data = self.config, self.learner, self.training
        learner.network.train()
        drawn = self.draws.rows(self.position + torch.arange(size, device=self.device))
        indices = self.trained[drawn.order]
        images, labels = augmented(data.batch(indices), data, config, drawn), data.labels[indices]
        masks = drop_path_masks(drawn.kept, self.path_scale) if config.drop_path else None
        with learner.layers.computing():
            outputs = learner.outputs(images, masks)
            loss = with_auxiliary(outputs, labels, config.auxiliary_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        learner.descend()
        loss = loss.detach()
        learner.count(loss, top_hits(outputs[0].detach(), labels, 1), size)
        # a mask, because an indexed write may sort and wait for the host
        here = self.steps == self.position // config.batch_size
        self.losses.copy_(torch.where(here, loss, self.losses))

    def finish_epoch(self, epoch: int) -> list[Row]:
        row = {**self.learner.training_row(), "drop_path": self.drop_path, **self.errors()}
        if len(self.held_out):
            row[HELD_OUT_ERROR] = self.errors("held out")["top1_error"]
        return [row]

    def errors(self, split: EvaluationSplit = "test") -> Row:
        """Top-1 and top-5 errors on all images of a split, without augmentation."""
        _, indices = self._split(split)
        self.learner.start_test()
        for first in range(0, len(indices), TEST_BATCH):
            self._run((split, min(TEST_BATCH, len(indices) - first)), first)
        return self.learner.errors()

    def test_batch(self, images: arrays.ImageArrays, indices: Tensor, size: int) -> None:
        """Test on `size` images, whose indices begin at `position` in `indices`."""
        chosen = indices[self.position + torch.arange(size, device=self.device)]
        normalised = augment.normalise(images.batch(chosen), self.training.mean, self.training.std)
        self.learner.test(normalised, images.labels[chosen])

    def state_dicts(self) -> list[dict[str, Any]]:
        return [{"learner": self.learner.state_dict()}]

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        self.learner.load_state_dict(states[0]["learner"])

    def _run(self, key: Hashable, first: int) -> None:
        """Run a program on the batch whose first image is at position `first`."""
        self.programs.prepare()  # recording requires a `position` that is valid in every split: its initial value, 0
        self.position.fill_(first)
        self.programs.run(key)

    def _programs(self) -> dict[Hashable, Program]:
        """Return a training program for each batch size, and a test program for each split and batch size."""
        found: dict[Hashable, Program] = {("train", size): partial(self.train_batch, size) for size in self.sizes}
        for split in SPLITS:
            images, indices = self._split(split)
            for part in torch.split(indices, TEST_BATCH):  # type: ignore[no-untyped-call]
                if size := len(part):
                    found[split, size] = partial(self.test_batch, images, indices, size)
        return found

    def _split(self, split: EvaluationSplit) -> tuple[arrays.ImageArrays, Tensor]:
        """Return the image array that contains a split, and the indices of the split's images in that array."""
        return (self.testing, self.tests) if split == "test" else (self.training, self.held_out)

    def _draw(self, epoch: int) -> Draws:
        height, width = self.training.images.shape[2:]
        edges = self.learner.network.stack.edges if self.config.drop_path else 0
        return draw(self.config, epoch, len(self.trained), (height, width), edges, self.drop_path)


def run(config: RetrainConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Retrain the genotype of a `derive` or `select` run.

    The inputs are the prepared dataset (arrays) and the run with genotype.json. Writes the files of `results.archive`.
    Returns `images_per_second`, the number of training images divided by the total time, evaluation included.

    Raises:
        DropnasError: an input is damaged, too many images are held out, or a loss is not finite.
    """
    determinism.apply(config.seed, workspace.device, workspace.threads, deterministic=config.deterministic)
    precision.apply(config.precision)
    data, genotype = inputs[0], Genotype.read(inputs[1])
    training, testing = (arrays.load(data, split, device=workspace.device) for split in ("train", "test"))
    trainee = Retraining(config, genotype, training, testing, workspace.device, recorder_for(workspace.device))
    started = time.monotonic()
    (result,) = train(trainee, config.epochs, [workspace])
    rows, seconds = rows_of(result), time.monotonic() - started
    archive(out, genotype, trainee.learner.shape, trainee.learner.network, rows, len(testing))
    return {"images_per_second": trainee.images_seen / seconds}
