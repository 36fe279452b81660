"""The search stage (Section 4.2): trains the supernet and its alphas on the training images, and keeps what it found.

Design choices: everything random has a generator of its own, named by the seed and its purpose, those of an epoch by
the epoch as well, so that a resumed search continues bit for bit. All of it is drawn on the CPU, so that every device
sees the same. A strategy that trains w on a share of the images only (DARTS' two-level search) gets
with each batch a random one of the others. What is written says nothing of time or machine.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save
from torch import Tensor

from dropnas.data import arrays, augment, batches
from dropnas.data.held_out import apart
from dropnas.errors import DropnasError
from dropnas.search.architecture import Alphas, spread
from dropnas.search.config import SearchConfig
from dropnas.search.course import Matrices, describe, matrices, not_finite
from dropnas.search.engine.supernet import FastSupernet, is_known
from dropnas.search.start import first_alphas, first_supernet
from dropnas.search.state import SearchState
from dropnas.search.strategy import Strategy, make_optimisers, make_strategy
from dropnas.search.supernet import Supernet
from dropnas.search.together import SearchAlone, is_static
from dropnas.space.spaces import SearchSpace, find_space
from dropnas.training import determinism, precision
from dropnas.training.loop import train
from dropnas.training.metrics import Row, write_csv, write_json
from dropnas.training.schedule import cosine
from dropnas.training.seeding import generator
from dropnas.workspace import Workspace


class Searched(Protocol):
    """What is written of a search."""

    @property
    def config(self) -> SearchConfig: ...

    @property
    def space(self) -> SearchSpace: ...

    @property
    def supernet(self) -> Supernet: ...

    @property
    def alphas(self) -> Alphas: ...

    @property
    def history(self) -> list[Matrices]: ...


def run(config: SearchConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Search on the prepared dataset `inputs[0]`.

    Writes alphas.json, history.json (the alphas of every epoch, 0 is the start), metrics.csv, result.json and
    supernet.safetensors.

    Returns:
        images_per_second, of this start of the run.

    Raises:
        DropnasError: an unknown space, strategy or option; a loss that is not finite.
    """
    determinism.apply(config.seed, workspace.device, workspace.threads)
    precision.apply(config.precision)
    images = arrays.load(inputs[0], "train", device=workspace.device)
    space = find_space(config.space)
    search = new_search(config, space, images, workspace.device)
    started = time.perf_counter()
    rows = train(search, config.epochs, workspace)
    seconds = time.perf_counter() - started
    write(out, search, rows)
    return {"images_per_second": search.images_seen / seconds}


def new_search(
    config: SearchConfig, space: SearchSpace, images: arrays.ImageArrays, device: str
) -> "Search | SearchAlone":
    """The trainee of a search: on a GPU as one static program where that can be, else operation by operation.

    A CPU is better served by leaving out what is dropped, which a static program computes in vain.
    """
    is_program = device.startswith("cuda") and is_static(config, space)
    return (SearchAlone if is_program else Search)(config, space, images, device)


class Search:
    """The trainee: a supernet, its alphas and a strategy on a dataset."""

    def __init__(self, config: SearchConfig, space: SearchSpace, images: arrays.ImageArrays, device: str) -> None:
        """Make everything of a search from its configuration; nothing is trained yet."""
        self.config, self.space, self.images, self.device = config, space, images, device
        self.strategy = make_strategy(config, space)
        held_out = held_out_images(self.strategy, len(images), config.strategy)
        parts = apart(len(images), held_out, generator(config.seed, "held-out images"))
        self.trained, self.held_out = (part.to(device) for part in parts)  # indices
        self.state = _new_state(config, space, images.classes, device)
        self.history: list[Matrices] = [matrices(self.state.alphas)]
        self.images_seen = 0  # since this start, for the throughput only
        self.order, self.augmentation = torch.empty(0), generator(0, "augmentation")
        self.loss_sum = self.correct = torch.zeros((), device=device)

    @property
    def supernet(self) -> Supernet:
        """With the weights w."""
        return self.state.supernet

    @property
    def alphas(self) -> Alphas:
        """Both matrices."""
        return self.state.alphas

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return batches.steps_per_epoch(len(self.trained), self.config.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Set what follows from (seed, epoch): learning rate, order, generators; empty the sums."""
        config = self.config
        for group in self.state.weight_optimiser.param_groups:
            group["lr"] = cosine(config.learning_rate, config.learning_rate_min, epoch, config.epochs)
        self.order = self.trained[batches.epoch_order(len(self.trained), config.seed, epoch).to(self.device)]
        self.augmentation = generator(config.seed, "augmentation", epoch)
        self.state.generator = generator(config.seed, "masks", epoch)
        self.state.epoch = epoch
        self.loss_sum = torch.zeros((), device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)

    def step(self, epoch: int, step: int) -> Tensor:
        """Train on one batch; gives its loss."""
        size = self.config.batch_size
        chosen = self.order[step * size : (step + 1) * size]
        labels = self.images.labels[chosen]
        self.state.held_out = self._held_out_batch(epoch, step)
        loss, logits = self.strategy.step(self.state, self._augmented(chosen, self.augmentation), labels)
        self.loss_sum = self.loss_sum + loss * len(chosen)
        self.correct = self.correct + (logits.argmax(dim=1) == labels).sum()
        self.images_seen += len(chosen)
        return loss

    def finish_epoch(self, epoch: int) -> Row:
        """The epoch's row: what was learned, and where the alphas stand.

        Raises:
            DropnasError: an alpha is not finite.
        """
        if fault := not_finite(self.state.alphas, epoch):
            raise fault
        self.history.append(matrices(self.state.alphas))
        count = min(self.steps_per_epoch * self.config.batch_size, len(self.trained))
        return {
            "train_loss": self.loss_sum.item() / count,
            "train_accuracy": 100 * self.correct.item() / count,
            "learning_rate": self.state.weight_optimiser.param_groups[0]["lr"],
            **describe(self.space, self.state.alphas),
        }

    def state_dict(self) -> dict[str, Any]:
        """All that moved."""
        return {
            "supernet": self.state.supernet.state_dict(),
            "alphas": [alpha.detach() for alpha in self.state.alphas],
            "weight_optimiser": self.state.weight_optimiser.state_dict(),
            "alpha_optimiser": self.state.alpha_optimiser.state_dict(),
            "generators": [self.state.generator.get_state(), self.augmentation.get_state()],
            "strategy": self.strategy.state_dict(),
            "history": self.history,
            "sums": [self.loss_sum, self.correct],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state."""
        self.state.supernet.load_state_dict(state["supernet"])
        with torch.no_grad():
            for alpha, saved in zip(self.state.alphas, state["alphas"], strict=True):
                alpha.copy_(saved)
        self.state.weight_optimiser.load_state_dict(state["weight_optimiser"])
        self.state.alpha_optimiser.load_state_dict(state["alpha_optimiser"])
        for made, saved in zip((self.state.generator, self.augmentation), state["generators"], strict=True):
            made.set_state(saved)
        self.strategy.load_state_dict(state["strategy"])
        self.history = state["history"]
        self.loss_sum, self.correct = (value.to(self.device) for value in state["sums"])

    def _augmented(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        """The chosen images after random crop and flip, normalised: (B, 3, H, W)."""
        images = self.images.batch(chosen)
        images = augment.random_crop(images, self.config.crop_padding, random)
        if self.config.flip:
            images = augment.random_flip(images, random)
        return augment.normalise(images, self.images.mean, self.images.std)

    def _held_out_batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor] | None:
        """A random batch of the held-out images, from (seed, epoch, step) alone; None where there are none."""
        if not len(self.held_out):
            return None
        order = torch.randperm(len(self.held_out), generator=generator(self.config.seed, "held-out", epoch, step))
        chosen = self.held_out[order[: self.config.batch_size].to(self.device)]
        random = generator(self.config.seed, "held-out augmentation", epoch, step)
        return self._augmented(chosen, random), self.images.labels[chosen]


def held_out_images(strategy: Strategy, count: int, name: str) -> int:
    """How many of the training images do not train w, by the strategy's `weight_share`.

    Raises:
        DropnasError: the share is not in (0, 1], or leaves a single image to the alphas.
    """
    share = getattr(strategy, "weight_share", 1.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise DropnasError(f"weight_share is {share!r}", where=name, remedy="it is above 0 and at most 1")
    held_out = count - round(share * count)
    if held_out == 1:
        raise DropnasError("one held-out image is too few for a batch", where=name, remedy="take more images")
    return held_out


def supernet_class(config: SearchConfig, space: SearchSpace) -> type[Supernet]:
    """The fast supernet where it is asked for and has all operations of the space, else the plain one."""
    return FastSupernet if config.asks_for_fast and is_known(space) else Supernet


def _new_state(config: SearchConfig, space: SearchSpace, classes: int, device: str) -> SearchState:
    supernet = first_supernet(supernet_class(config, space), config, space, classes).to(device)
    alphas = Alphas(*(alpha.to(device).requires_grad_() for alpha in first_alphas(config, space)))
    sgd, adam = make_optimisers(config, supernet, alphas)
    masks = generator(config.seed, "masks", 0)
    return SearchState(supernet, alphas, sgd, adam, masks, config.precision, device, epoch=0, epochs=config.epochs)


def write(out: Path, search: Searched, rows: list[Row]) -> None:
    """Write the files of a finished search."""
    operations = list(search.space.operations)
    epochs = [{"epoch": epoch, **of_both} for epoch, of_both in enumerate(search.history)]
    write_json(out / "alphas.json", {"operations": operations, **search.history[-1]})
    write_json(out / "history.json", {"operations": operations, "epochs": epochs})
    write_csv(out / "metrics.csv", rows)
    start = Alphas(*(torch.tensor(matrix) for matrix in search.history[0].values()))
    result = {
        "train_loss": rows[-1]["train_loss"],
        "train_accuracy": rows[-1]["train_accuracy"],
        "epochs": search.config.epochs,
        "alpha_spread_start": spread(start),
        "alpha_spread_end": spread(search.alphas),
        "supernet": "fast" if isinstance(search.supernet, FastSupernet) else "plain",
        "parameters": sum(weight.numel() for weight in search.supernet.parameters()),
    }
    write_json(out / "result.json", result)
    weights = {name: value.cpu().contiguous() for name, value in search.supernet.state_dict().items()}
    (out / "supernet.safetensors").write_bytes(save(weights))
