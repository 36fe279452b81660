"""Features of the operations on one edge of a trained supernet, for Figures 1 and 4 (Sections 2.2 and 5.2).

Design choices: each operation is one point. Its coordinates are the operation's feature maps of all images,
concatenated, or the mean of these maps over the images (docs/decisions.md compares both). Points with millions of
dimensions are represented by their inner products, which are summed over batches in double precision. The network is in
evaluation mode. All operations are mixed by p (Eq. 1), and nothing is dropped or augmented.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropnas.analysis.clusters import Gram
from dropnas.artifacts.receipt_file import ReceiptFile
from dropnas.artifacts.search_files import AlphasFile
from dropnas.data import arrays, augment
from dropnas.errors import DropnasError
from dropnas.search.architecture import Alphas, mixtures
from dropnas.search.config import SearchConfig
from dropnas.search.supernet import Supernet
from dropnas.space.names import ZERO
from dropnas.space.spaces import SearchSpace, find_space
from dropnas.training.seeding import generator
from dropnas.training.weights_file import load_weights

IMAGES_AT_ONCE = 100  # images; their features in the first cell of the paper's supernet take 92 MB in double precision


@dataclass(frozen=True)
class TrainedSupernet:
    """The supernet at the end of a search, in evaluation mode, with the alphas of the last epoch."""

    space: SearchSpace
    network: Supernet
    alphas: Alphas

    def operations(self) -> list[int]:
        """The indices of an edge's operations, zero excluded."""
        return [index for index, name in enumerate(self.space.operations) if name != ZERO]


def load_supernet(folder: Path, classes: int, device: str) -> TrainedSupernet:
    """Load the supernet of a published search.

    Raises:
        DropnasError: a file is missing or damaged, or the weights do not fit the supernet that the receipt describes.
    """
    config = _config(folder)
    space = find_space(config.space)
    found = AlphasFile.read(folder)
    if found.operations != space.operations:
        raise DropnasError(f"the operations are not those of {config.space!r}", where=AlphasFile.file(folder))
    with torch.random.fork_rng(devices=[]):  # the initial weights are replaced below
        network = Supernet(space, config.channels, config.cells, classes)
    load_weights(network, folder / "supernet.safetensors")
    alphas = Alphas(*(torch.tensor(matrix, device=device) for matrix in (found.normal, found.reduce)))
    return TrainedSupernet(space, network.eval().to(device), alphas)


def choose_images(available: int, wanted: int, seed: int) -> Tensor:
    """Choose `wanted` images at random without replacement, or all images if there are fewer.

    Returns int64 indices in ascending order.
    """
    return torch.randperm(available, generator=generator(seed, "images"))[:wanted].sort().values


@torch.no_grad()
def grams(
    supernet: TrainedSupernet,
    images: arrays.ImageArrays,
    chosen: Tensor,
    cells: Sequence[int],
    edge: int,
    features: Literal["maps", "means"] = "maps",
) -> dict[int, Gram]:
    """Compute the inner products of the operations' features on one edge, for some cells.

    Args:
        chosen: indices of the images, int64 (N,).
        features: `maps` concatenates the maps of all images, `means` takes their mean over the images.

    Returns:
        For each cell, a float64 matrix (operations, operations) in the order of the space, without the operation zero.
    """
    kept = torch.ones(len(supernet.network.kinds), *supernet.alphas.normal.shape, dtype=torch.bool)
    mixture = mixtures(supernet.alphas, kept, supernet.network.kinds)
    sums: dict[int, Any] = defaultdict(float)  # for each cell, sums of inner products or of maps
    with _captured(supernet, cells, edge) as captured:
        for batch in torch.split(chosen, IMAGES_AT_ONCE):
            pixels = images.batch(batch.to(images.labels.device))
            supernet.network(augment.normalise(pixels, images.mean, images.std), mixture)
            for cell, outputs in captured.items():
                maps = torch.stack([outputs[index] for index in supernet.operations()]).double()
                sums[cell] += maps.sum(dim=1) if features == "means" else _inner_products(maps)
    if features == "means":
        return {cell: _inner_products(total / len(chosen)) for cell, total in sums.items()}
    return sums


def _inner_products(maps: Tensor) -> Gram:
    """The inner products of the maps (operations, …) for all pairs of operations, (operations, operations)."""
    points = maps.flatten(1)
    products: Gram = (points @ points.T).cpu().numpy()
    return products


@contextmanager
def _captured(supernet: TrainedSupernet, cells: Sequence[int], edge: int) -> Iterator[dict[int, dict[int, Tensor]]]:
    """Yield a dict that always holds the outputs of the latest forward pass, by cell and operation."""
    found: dict[int, dict[int, Tensor]] = {cell: {} for cell in cells}
    with ExitStack() as stack:
        for cell, outputs in found.items():
            mixed: Any = supernet.network.cells[cell].edges[edge]  # type: ignore[index]
            for index in supernet.operations():
                stack.callback(mixed[index].register_forward_hook(partial(_keep, outputs, index)).remove)
        yield found


def _keep(outputs: dict[int, Tensor], index: int, module: nn.Module, inputs: Any, output: Tensor) -> None:
    outputs[index] = output


def _config(folder: Path) -> SearchConfig:
    """Read the configuration of a search from its receipt."""
    try:
        return SearchConfig(**ReceiptFile.read(folder).config)
    except TypeError as error:
        where = ReceiptFile.file(folder)
        raise DropnasError(f"is not the receipt of a search ({error})", where=where, remedy="run `verify`") from error
