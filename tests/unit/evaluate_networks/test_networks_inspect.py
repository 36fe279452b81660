"""The output of `inspect` for a genotype, and operations of a user's package in the networks."""

import json

import pytest
import torch

from dropnas.artifacts.training_files import NetworkFile
from dropnas.errors import DropnasError
from dropnas.evaluate.inspect import describe
from dropnas.evaluate.networks import build
from dropnas.space.genotype import Genotype
from dropnas.space.published import load_genotype


def test_a_description_is_plain_json_and_names_the_published_architecture():
    facts = describe(load_genotype("dropnas_c10"), "cifar100", cells=3, channels=4)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["network"], facts["classes"], facts["image_size"]) == ("cifar100", 100, [32, 32])
    assert facts["operations"] == {
        "normal": {"dil_conv_3x3": 1, "dil_conv_5x5": 1, "sep_conv_3x3": 5, "skip_connect": 1},
        "reduce": {"dil_conv_5x5": 5, "max_pool_3x3": 1, "sep_conv_5x5": 2},
    }
    assert facts["skip_connects_normal"] == 1
    assert [known["id"] for known in facts["published"]] == ["dropnas_c10"]
    assert facts["published"][0]["paper_rows"]["table1"]["params_m"] == 4.1
    assert facts["parameters_release_convention"] == facts["parameters_with_auxiliary"] / 2**20


def test_an_unpublished_genotype_has_no_paper_rows():
    skips = (("skip_connect", 0), ("skip_connect", 1))
    facts = describe(Genotype(skips, (2,), skips, (2,)), "imagenet", cells=1, channels=2)
    assert facts["published"] == []
    assert facts["skip_connects_normal"] == 2


def test_the_papers_sizes_are_the_defaults():
    facts = describe(load_genotype("darts_v2"), "imagenet")
    assert (facts["cells"], facts["channels"], facts["classes"], facts["image_size"]) == (14, 48, 1000, [224, 224])
    assert (facts["pool_norm"], facts["squeeze_excitation"]) == (True, False)


def test_squeeze_and_excitation_adds_two_layers_to_each_cell():
    genotype = load_genotype("darts_v2")
    plain, excited = (
        describe(genotype, "imagenet", squeeze_excitation=excite, cells=3, channels=8) for excite in (False, True)
    )
    added = sum(2 * width * (width // 16) for width in (32, 64, 128))
    assert excited["parameters"] - plain["parameters"] == added
    assert excited["multiply_adds"] - plain["multiply_adds"] == added


def test_a_network_that_does_not_exist_is_one_clear_line():
    with pytest.raises(DropnasError, match="unknown network 'cifar'; known: cifar10, cifar100, imagenet"):
        describe(load_genotype("darts_v2"), "cifar")
    with pytest.raises(DropnasError, match="no squeeze-and-excitation"):
        describe(load_genotype("darts_v2"), "cifar10", squeeze_excitation=True)


def test_an_operation_of_a_users_package_runs_through_network_and_counts(tmp_path, monkeypatch):
    (tmp_path / "own_counted.py").write_text(
        "from torch import nn\n"
        "def pointwise(channels, stride, affine, pool_norm):\n"
        "    return nn.Conv2d(channels, channels, 1, stride=stride, bias=False)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own, skip = (
        Genotype(((name, 0), (name, 1)), (2,), (("none", 0), ("none", 1)), (2,))
        for name in ("own_counted:pointwise", "skip_connect")
    )
    shape = NetworkFile("cifar", 3, 4, 10, False, True, False, (8, 8))
    assert build(shape, own)(torch.zeros(2, 3, 8, 8))[0].shape == (2, 10)
    difference = describe(own, "cifar10", cells=3, channels=4)["parameters"]
    difference -= describe(skip, "cifar10", cells=3, channels=4)["parameters"]
    assert difference == 2 * 4 * 4  # of three cells one is normal, with two 1x1 convolutions of four channels
