"""Describes a genotype for `inspect`: its size in the paper's networks, and the numbers that the paper prints."""

from collections import Counter
from typing import Any

from dropnas.artifacts.genotype_file import Edge
from dropnas.artifacts.training_files import NetworkFile
from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.evaluate.complexity import multiply_adds, parameters, parameters_with_auxiliary, release_millions
from dropnas.evaluate.config import RetrainConfig, TransferConfig
from dropnas.evaluate.networks import build
from dropnas.space.genotype import Genotype
from dropnas.space.names import SKIP
from dropnas.space.published import published


def describe(
    genotype: Genotype,
    network: str,
    pool_norm: bool = RetrainConfig.pool_norm,
    squeeze_excitation: bool = False,
    channels: int | None = None,
    cells: int | None = None,
) -> dict[str, Any]:
    """Describe a genotype in the network of a dataset, as plain JSON values.

    Args:
        network: the data set whose network is used, a key of ROLES.
        channels, cells: initial width and depth; None means the paper's (36 and 20, or 48 and 14).

    Raises:
        DropnasError: the network is unknown, or the size is invalid.
    """
    shape = paper_shape(network, pool_norm, squeeze_excitation, channels, cells)
    module = build(shape, genotype)
    return {
        **shape.values(),
        "network": network,
        "parameters": parameters(module),
        "parameters_with_auxiliary": parameters_with_auxiliary(module),
        "parameters_release_convention": release_millions(module),
        "multiply_adds": multiply_adds(module, shape.image_size),
        "genotype": genotype.values(),
        "operations": {"normal": _kinds(genotype.normal), "reduce": _kinds(genotype.reduce)},
        "skip_connects_normal": _kinds(genotype.normal).get(SKIP, 0),
        "published": _published(genotype),
    }


def paper_shape(
    network: str, pool_norm: bool, squeeze_excitation: bool, channels: int | None = None, cells: int | None = None
) -> NetworkFile:
    """The shape of the paper's network for a dataset (Section 4.2); width and depth may be changed.

    Raises:
        DropnasError: the network is unknown, or the size is invalid.
    """
    if network not in ROLES:
        raise DropnasError(f"unknown network {network!r}", remedy=f"known: {', '.join(ROLES)}")
    large = ROLES[network].network == "imagenet"
    # reads single fields, so that the stage's code fingerprint does not depend on the other fields of these classes
    paper_cells = TransferConfig.cells if large else RetrainConfig.cells
    paper_channels = TransferConfig.channels if large else RetrainConfig.channels
    side = TransferConfig.image_size if large else 32
    return NetworkFile(
        network=ROLES[network].network,
        cells=paper_cells if cells is None else cells,
        channels=paper_channels if channels is None else channels,
        classes=ROLES[network].classes,
        auxiliary=True,
        pool_norm=pool_norm,
        squeeze_excitation=squeeze_excitation,
        image_size=(side, side),
    )


def _kinds(edges: tuple[Edge, ...]) -> dict[str, int]:
    """Count how often each operation occurs in a cell."""
    return dict(sorted(Counter(operation for operation, _ in edges).items()))


def _published(genotype: Genotype) -> list[dict[str, Any]]:
    """The published architectures that equal this genotype, with the paper's numbers for them."""
    return [
        {"id": known.id, "name": known.name, "paper_rows": known.paper_rows, "notes": known.notes}
        for known in published().values()
        if known.genotype == genotype
    ]
