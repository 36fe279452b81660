"""Published architectures as runs: the stage does not change them, including NASNet-A's five nodes."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from dropnas.errors import DropnasError
from dropnas.evaluate import fixed
from dropnas.evaluate.config import FixedConfig
from dropnas.runs.identity import Run
from dropnas.space.genotype import Genotype
from dropnas.space.published import published
from dropnas.workspace import Workspace
from tests.unit.evaluate_networks.small_networks import cifar

TWO = [["sep_conv_7x7", 0], ["conv_7x1_1x7", 1]]
FIVE_NODES = {"normal": TWO * 5, "normal_concat": [2, 4, 5, 6], "reduce": TWO * 5, "reduce_concat": [3, 6]}


def passed(config: FixedConfig, folder: Path) -> Genotype:
    folder.mkdir(parents=True)
    assert fixed.run(config, [], folder, Workspace(folder / "scratch", "id")) == {}
    assert [path.name for path in folder.iterdir()] == ["genotype.json"]
    return Genotype.read(folder)


@pytest.mark.parametrize("id_", sorted(published()))
def test_every_published_architecture_comes_out_as_it_was(id_: str, tmp_path: Path) -> None:
    genotype = published()[id_].genotype
    config = FixedConfig(id_, json.loads(json.dumps(genotype.values())))  # as in a spec
    assert passed(config, tmp_path / "run") == genotype


def test_five_nodes_and_nasnets_operations_pass_and_can_be_trained(tmp_path: Path) -> None:
    genotype = passed(FixedConfig("five", FIVE_NODES), tmp_path / "run")
    assert len(genotype.normal) == 10 and genotype.normal_concat == (2, 4, 5, 6)
    torch.manual_seed(0)
    network = cifar(genotype, channels=2, cells=3, classes=10, auxiliary=False)
    logits, _ = network(torch.randn(2, 3, 8, 8))
    logits.sum().backward()
    assert logits.shape == (2, 10)
    assert all(weight.grad is not None for weight in network.classifier.parameters())


def test_equal_cells_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        passed(FixedConfig("five", dict(sorted(FIVE_NODES.items(), reverse=name == "other"))), tmp_path / name)
    assert len({(tmp_path / name / "genotype.json").read_bytes() for name in ("one", "other")}) == 1


def test_a_correction_of_a_cell_is_another_run() -> None:
    def id_of(genotype: dict[str, object]) -> str:
        return Run("fixed", "five", FixedConfig("five", genotype), (), "code").id

    corrected = {**FIVE_NODES, "normal_concat": [2, 3, 4, 5, 6]}
    assert id_of(dict(FIVE_NODES)) == id_of(dict(FIVE_NODES)) != id_of(corrected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normal": [["sep_conv_7x7", 0]]}, "1 edges"),
        ({"normal": [["sep_conv_7x7", 2], ["sep_conv_7x7", 1]]}, "does not come before it"),
        ({"reduce": [["sep_conv_8x8", 0], ["sep_conv_7x7", 1]]}, "unknown operation 'sep_conv_8x8'"),
        ({"reduce_concat": []}, "is not made of the cell's nodes"),
        ({"reduced": []}, "reduced: unknown key"),
    ],
)
def test_what_is_no_genotype_names_the_architecture(change: dict[str, object], message: str, tmp_path: Path) -> None:
    config = dataclasses.replace(FixedConfig("nasnet-b", FIVE_NODES), genotype={**FIVE_NODES, **change})
    with pytest.raises(DropnasError, match=message) as raised:
        passed(config, tmp_path / "run")
    assert "nasnet-b" in str(raised.value) and "\n" not in str(raised.value)
