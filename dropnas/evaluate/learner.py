"""The common part of retraining and transfer: a network, its optimiser, and the sums of loss and hits in an epoch.

Design choices: both use SGD with momentum and a clipped gradient (Section 4.2). The sums stay on the device as float64,
so that no step waits for them. They are part of the state, so that an epoch can be interrupted. All tensors that a step
changes keep their addresses, so that a step can be captured in a CUDA graph.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dropnas.artifacts.metrics_file import Row
from dropnas.artifacts.training_files import NetworkFile
from dropnas.errors import DropnasError
from dropnas.evaluate.config import MemoryFormat, RetrainConfig, TransferConfig
from dropnas.evaluate.stack import EvaluationNetwork, Forward, Outputs
from dropnas.training.distributed import SINGLE, Ranks
from dropnas.training.foreach import ForeachLayers
from dropnas.training.initialisation import initialise
from dropnas.training.optimisers import SGD
from dropnas.training.seeding import generator

LAYOUTS: dict[MemoryFormat, torch.memory_format] = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}
TOP5_CLASSES = 6  # with fewer classes, every label is among the top five


class Learner:
    """An evaluation network in training; its initial weights are determined by the seed.

    Raises:
        DropnasError: the memory format is channels last on a CPU.
    """

    def __init__(
        self,
        network: EvaluationNetwork,
        shape: NetworkFile,
        config: RetrainConfig | TransferConfig,
        device: str,
    ) -> None:
        self.shape = shape
        initialise(network, generator(config.seed, "initialisation"), config.norm_weight)
        self.layout = layout(config.memory_format, device)
        # before the optimiser creates its momentum buffers, which copy the parameters' memory format
        self.network: EvaluationNetwork = network.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.forward: Forward = self.network  # a faster implementation may replace it
        self.config = config
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = SGD(self.parameters, config.learning_rate, config.momentum, config.weight_decay)
        self.layers = ForeachLayers(self.network, config.precision, device)
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, top-1 hits, images
        self.tested = torch.zeros(3, dtype=torch.int64, device=device)  # sums of a test: top-1 hits, top-5 hits, images

    def changed(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return [*self.network.parameters(), *self.network.buffers(), *self.optimiser.tensors(), self.sums]

    def start_epoch(self, learning_rate: float) -> None:
        """Set the learning rate of this epoch, and reset the sums of loss and errors."""
        self.network.train()
        self.optimiser.learning_rate = learning_rate
        self.sums.zero_()

    def outputs(self, images: Tensor, masks: Tensor | None = None) -> Outputs:
        """The network's outputs for normalised images (B, 3, H, W), converted to the configured memory format."""
        return self.forward(images.contiguous(memory_format=self.layout), masks)

    def descend(self) -> None:
        """Take a step of SGD with the current gradient after clipping its norm, then delete the gradient."""
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip, foreach=True)
        self.optimiser.step([parameter.grad for parameter in self.parameters])
        for parameter in self.parameters:
            parameter.grad = None

    def count(self, loss: Tensor, hits: Tensor, images: int) -> None:
        """Add the mean loss and the hits of a batch to the epoch's sums; both are detached."""
        self.sums[0].add_(loss, alpha=images)
        self.sums[1].add_(hits)
        self.sums[2].add_(images)

    def training_row(self) -> Row:
        """Mean loss and accuracy (percent) of the epoch so far, and its learning rate."""
        loss, hits, images = self.sums.tolist()
        return {
            "train_loss": loss / images,
            "train_accuracy": 100 * hits / images,
            "learning_rate": self.optimiser.learning_rate,
        }

    def evaluate(self, batches: Iterable[tuple[Tensor, Tensor]], ranks: Ranks = SINGLE) -> Row:
        """Errors in percent over test batches of normalised images (B, 3, H, W) and labels (B,).

        The batches are distributed over `ranks`. With fewer than six classes the top-5 error is None.
        """
        self.start_test()
        for images, labels in batches:
            self.test(images, labels)
        return self.errors(ranks)

    def start_test(self) -> None:
        """Begin an evaluation: reset its counts."""
        self.tested.zero_()

    @torch.no_grad()
    def test(self, images: Tensor, labels: Tensor) -> None:
        """Count the hits of one test batch, without synchronising with the host."""
        self.network.eval()
        with self.layers.computing():
            logits, _ = self.outputs(images)
        self.tested[0].add_(top_hits(logits, labels, 1))
        self.tested[1].add_(top_hits(logits, labels, 5))
        self.tested[2].add_(len(labels))

    def errors(self, ranks: Ranks = SINGLE) -> Row:
        """Errors in percent over the tested images of all ranks."""
        top1, top5, total = ranks.sum(self.tested.clone()).tolist()
        known = self.shape.classes >= TOP5_CLASSES
        return {
            "top1_error": 100 * (total - top1) / total,
            "top5_error": 100 * (total - top5) / total if known else None,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.sums.copy_(state["sums"])


def layout(name: MemoryFormat, device: str) -> torch.memory_format:
    """Convert the name of a memory format to torch's constant.

    Raises:
        DropnasError: the format is channels last on a CPU with oneDNN. In torch 2.14.1, the backward pass of a 1x1
            convolution of stride 2 writes outside its memory (docs/decisions.md, "Layout of images on the CPU").
    """
    if name == "channels_last" and device == "cpu" and torch.backends.mkldnn.enabled:
        raise DropnasError(
            "memory_format channels_last needs a GPU: on a CPU torch's kernels for it write outside their memory",
            remedy="set memory_format: contiguous",
        )
    return LAYOUTS[name]


def top_hits(logits: Tensor, labels: Tensor, guesses: int) -> Tensor:
    """Count the images whose label has one of the `guesses` highest logits; logits (B, classes), labels (B,)."""
    if guesses == 1:
        return (logits.argmax(dim=1) == labels).sum()
    first = logits.topk(min(guesses, logits.shape[1]), dim=1).indices  # (B, guesses)
    return (first == labels[:, None]).sum()


def with_auxiliary(
    outputs: tuple[Tensor, Tensor | None], targets: Tensor, weight: float, smoothing: float = 0.0
) -> Tensor:
    """The mean cross-entropy of the logits, plus `weight` times that of the auxiliary logits if there are any."""
    logits, auxiliary = outputs
    loss = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    if auxiliary is None:
        return loss
    return loss + weight * functional.cross_entropy(auxiliary, targets, label_smoothing=smoothing)
