"""Parameters and multiply-adds: the networks against closed-form arithmetic, and both against published figures.

`Count` below uses neither torch nor the package: it adds up the operations of the paper's description.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropnas.artifacts.training_files import NetworkFile
from dropnas.evaluate.complexity import multiply_adds, parameters, parameters_with_auxiliary
from dropnas.evaluate.imagenet_network import ImageNetStem
from dropnas.evaluate.inspect import describe
from dropnas.evaluate.networks import build
from dropnas.evaluate.stack import CellStack
from dropnas.space.genotype import Genotype
from dropnas.space.names import OPERATION_NAMES
from dropnas.space.published import load_genotype, published

GOLDEN = json.loads(Path(__file__).with_name("counts.json").read_text())
CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}


@dataclass
class Count:
    """A sum of weights and of multiply-adds."""

    weights: int = 0
    work: int = 0

    def conv(self, channels_in, channels_out, kernel_area, positions):
        self.weights += channels_in * channels_out * kernel_area
        self.work += channels_in * channels_out * kernel_area * positions

    def depthwise(self, channels, kernel, positions):
        self.conv(1, channels, kernel * kernel, positions)

    def norm(self, channels):
        self.weights += 2 * channels

    def operation(self, name, c, stride, side, pool_norm):
        """On a map of side x side with c channels."""
        out = -(-side // stride)
        kernel = int(name[-1]) if name[-1].isdigit() else 0
        if name.startswith(("sep", "dil")):
            for _ in range(2 if name.startswith("sep") else 1):
                self.depthwise(c, kernel, out * out)
                self.conv(c, c, 1, out * out)
                self.norm(c)
        elif name == "conv_7x1_1x7":
            self.conv(c, c, 7, side * out)
            self.conv(c, c, 7, out * out)
            self.norm(c)
        elif "pool" in name and pool_norm:
            self.norm(c)
        elif name == "skip_connect" and stride == 2:
            self.conv(c, c, 1, out * out)
            self.norm(c)

    def cells(self, genotype, c, cells, before, last, side, pool_norm, excite):
        """Count all cells, the first on a map of that side; return the channels at the tower and the classifier."""
        tower = 0
        for index in range(cells):
            reduction = index in (cells // 3, 2 * cells // 3)
            c *= 1 + reduction
            for channels in (before, last):
                self.conv(channels, c, 1, side * side)
                self.norm(c)
            edges, concat = (
                (genotype["reduce"], genotype["reduce_concat"])
                if reduction
                else (genotype["normal"], genotype["normal_concat"])
            )
            half = -(-side // 2)
            for name, source in edges:
                strided = reduction and source < 2
                self.operation(name, c, 2 if strided else 1, half if reduction and not strided else side, pool_norm)
            before, last, side = last, c * len(concat), half if reduction else side
            if excite:
                hidden = max(1, last // 16)
                self.conv(last, hidden, 1, 1)
                self.conv(hidden, last, 1, 1)
            if index == 2 * cells // 3:
                tower = last
        return tower, last

    def linear(self, channels, classes):
        self.conv(channels, classes, 1, 1)
        self.weights += classes


def closed_form(genotype, network, channels, cells, classes, side, pool_norm, excite=False):
    """(weights, weights with the tower, multiply-adds)."""
    count = Count()
    if network == "cifar":
        count.conv(3, 3 * channels, 9, side * side)
        count.norm(3 * channels)
        start = (channels, cells, 3 * channels, 3 * channels, side, pool_norm, False)
    else:
        half, quarter, eighth = -(-side // 2), -(-side // 4), -(-side // 8)
        for c_in, c_out, out in (
            (3, channels // 2, half),
            (channels // 2, channels, quarter),
            (channels, channels, eighth),
        ):
            count.conv(c_in, c_out, 9, out * out)
            count.norm(c_out)
        start = (channels, cells, channels, channels, eighth, pool_norm, excite)
    tower, last = count.cells(genotype, *start)
    count.linear(last, classes)
    auxiliary = tower * 128 + 2 * 128 + 128 * 768 * 4 + 768 * classes + classes + (2 * 768 if network == "cifar" else 0)
    return count.weights, count.weights + auxiliary, count.work


def counted(genotype, shape):
    with torch.device("meta"):
        network = build(shape, genotype)
    return parameters(network), parameters_with_auxiliary(network), multiply_adds(network, shape.image_size)


def small(network, pool_norm, excite=False, channels=6, cells=4, side=40):
    return NetworkFile(network, cells, channels, 7, True, pool_norm, excite, (side, side))


def expected(genotype, shape):
    side = shape.image_size[0]
    return closed_form(
        genotype.values(),
        shape.network,
        shape.channels,
        shape.cells,
        shape.classes,
        side,
        shape.pool_norm,
        shape.squeeze_excitation,
    )


@pytest.mark.parametrize("name", published())
def test_small_networks_have_the_counts_of_the_arithmetic(name):
    genotype = load_genotype(name)
    for shape in (small("cifar", True), small("imagenet", False, excite=True)):
        assert counted(genotype, shape) == expected(genotype, shape)


@st.composite
def genotypes(draw):
    cells = []
    for _ in range(2):
        nodes = range(2, 2 + draw(st.integers(1, 5)))
        edge = lambda node: (draw(st.sampled_from(OPERATION_NAMES)), draw(st.integers(0, node - 1)))  # noqa: E731
        edges = tuple(edge(node) for node in nodes for _ in range(2))
        cells += [edges, tuple(draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True)))]
    return Genotype(*cells)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    genotypes(),
    st.sampled_from(["cifar", "imagenet"]),
    st.booleans(),
    st.integers(2, 9),
    st.integers(1, 5),
    st.integers(1, 40),
)
def test_random_genotypes_have_the_counts_of_the_arithmetic(genotype, network, pool_norm, channels, cells, side):
    shape = small(network, pool_norm, network == "imagenet" and pool_norm, channels, cells, side)
    assert counted(genotype, shape) == expected(genotype, shape)


def full_size(name, network, pool_norm):
    genotype = load_genotype(name).values()
    if network == "imagenet":
        return closed_form(genotype, "imagenet", 48, 14, 1000, 224, pool_norm)
    return closed_form(genotype, "cifar", 36, 20, CLASSES[network], 32, pool_norm)


def golden(name, network, pool_norm):
    entry = GOLDEN[name][network]["pool_norm" if pool_norm else "no_pool_norm"]
    return entry["parameters"], entry["parameters_with_auxiliary"], entry["multiply_adds"]


CASES = [(name, network, norm) for name in published() for network in CLASSES for norm in (True, False)]


def test_the_arithmetic_gives_the_recorded_counts_of_the_papers_networks():
    assert {case: full_size(*case) for case in CASES} == {case: golden(*case) for case in CASES}


def described(name, network, pool_norm):
    facts = describe(load_genotype(name), network, pool_norm)
    return facts["parameters"], facts["parameters_with_auxiliary"], facts["multiply_adds"]


@pytest.mark.parametrize(
    ("name", "network", "pool_norm"), [("darts_v2", "imagenet", False), ("dropnas_c10", "cifar10", True)]
)
def test_inspection_gives_the_recorded_counts(name, network, pool_norm):
    assert described(name, network, pool_norm) == golden(name, network, pool_norm)


@pytest.mark.slow
def test_inspection_gives_the_recorded_counts_of_all_published_genotypes():
    cases = [(name, network, True) for name in published() for network in ("cifar10", "imagenet")]
    assert {case: described(*case) for case in cases} == {case: golden(*case) for case in cases}


@pytest.mark.parametrize(
    ("name", "network", "printed"),
    [
        ("darts_v2", "cifar10", 3_349_342),  # 3.3M in DARTS
        ("pdarts_c10", "cifar10", 3_433_798),  # 3.4M in P-DARTS
        ("pdarts_c10", "cifar100", 3_485_728),
        ("pcdarts_c10", "cifar10", 3_634_678),  # 3.6M in PC-DARTS
        ("xnas", "cifar10", 3_793_438),  # 3.7M / 3.8M in XNAS
        ("darts_v2", "imagenet", 4_718_752),  # 4.7M in DARTS
        ("snas_moderate", "imagenet", 4_312_576),  # 4.3M in SNAS
    ],
)
def test_counts_that_the_field_knows(name, network, printed):
    assert golden(name, network, pool_norm=False)[0] == printed


@pytest.mark.parametrize(("channels", "millions"), [(36, 3.793), (44, 5.595), (50, 7.175)])
def test_the_three_sizes_that_xnas_published(channels, millions):
    weights, _, _ = closed_form(load_genotype("xnas").values(), "cifar", channels, 20, 10, 32, pool_norm=False)
    assert round(weights / 1e6, 3) == millions
    assert (
        describe(load_genotype("xnas"), "cifar10", pool_norm=False, channels=channels, cells=20)["parameters"]
        == weights
    )


def test_xnas_official_imagenet_network():
    """46 channels after a stem of 56; its squeeze-and-excitation has 372,416 weights, each used once per image."""
    with torch.device("meta"):
        shape = NetworkFile("imagenet", 14, 46, 1000, False, False, False, (224, 224))
        network = build(shape, load_genotype("xnas"))
        network.stem, network.stack = ImageNetStem(56), CellStack(shape, load_genotype("xnas"), 56)
    assert parameters(network) == 4_886_148
    assert round((multiply_adds(network, (224, 224)) + 372_416) / 1e6, 1) == 568.8


@pytest.mark.parametrize(
    ("name", "network", "millions", "release", "printed"),
    [("dropnas_c10", "cifar10", 3.8, 4.116, 4.1), ("dropnas_c100", "cifar100", 4.0, 4.350, 4.4)],
)
def test_the_papers_own_counts_are_those_of_the_releases_logger(name, network, millions, release, printed):
    """Tables 1 and 2: the tower counted, in units of 2^20 (4.350 is printed as 4.4). The field counts less."""
    weights, with_tower, _ = golden(name, network, pool_norm=True)
    assert round(weights / 1e6, 1) == millions
    assert round(with_tower / 2**20, 3) == release
    assert release == pytest.approx(printed, abs=0.051)


def test_counting_leaves_the_weights_as_they_were():
    network = build(small("cifar", True), load_genotype("dropnas_c10"))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    multiply_adds(network, (8, 8))
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[name], weight) for name, weight in network.state_dict().items())
