"""A run folder is loaded as a network, or gives a one-line error."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import dropnas
from dropnas.artifacts.training_files import NetworkFile
from dropnas.errors import DropnasError
from dropnas.evaluate.loading import read_network
from dropnas.evaluate.networks import build
from dropnas.evaluate.results import archive
from dropnas.space.published import load_genotype

SHAPES = {
    "cifar": NetworkFile("cifar", 3, 2, 10, True, True, False, (8, 8)),
    "imagenet": NetworkFile("imagenet", 3, 4, 5, False, False, True, (32, 32)),
}
GENOTYPE = load_genotype("dropnas_c10")
RECEIPT = {"id": "0", "stage": "retrain", "device": "CPU", "seconds": 1.0, "inputs": [], "config": {"epochs": 3}}


def write_run(folder: Path, shape: NetworkFile):
    """Make a run folder like a retraining's; return its network."""
    network = build(shape, GENOTYPE)
    network(torch.randn(4, 3, 16, 16))  # changes the running statistics
    folder.mkdir()
    (folder / "network.json").write_text(json.dumps(shape.values()))
    (folder / "genotype.json").write_text(json.dumps(GENOTYPE.values()))
    save_file(network.state_dict(), folder / "network.safetensors")
    return network.eval()


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run", SHAPES["cifar"])
    return tmp_path / "run"


@pytest.mark.parametrize("kind", SHAPES)
def test_a_loaded_network_gives_the_logits_of_the_trained_one(kind, tmp_path):
    trained = write_run(tmp_path / "run", SHAPES[kind])
    before = torch.get_rng_state()
    loaded = read_network(tmp_path / "run", {"epochs": 3})
    assert torch.equal(torch.get_rng_state(), before)
    images = torch.randn(3, 3, 16, 16)
    assert not loaded.network.training
    assert torch.equal(loaded.network(images)[0], trained(images)[0])
    assert (loaded.genotype, loaded.shape, loaded.config) == (GENOTYPE, SHAPES[kind], {"epochs": 3})


@pytest.mark.parametrize("kind", SHAPES)
def test_what_a_stage_archives_can_be_loaded(kind, tmp_path):
    trained = build(SHAPES[kind], GENOTYPE)
    rows = [{"epoch": 1, "top1_error": 50.0, "top5_error": None}]
    shape = dataclasses.replace(SHAPES[kind], auxiliary=False)
    archive(tmp_path, GENOTYPE, shape, trained, rows, test_images=7)
    images = torch.randn(3, 3, 16, 16)
    loaded = read_network(tmp_path, {})
    assert torch.equal(loaded.network(images)[0], trained.eval()(images)[0])
    assert loaded.network.auxiliary is None  # the tower is only used in training and is not saved


@pytest.mark.parametrize("name", ["network.json", "genotype.json", "network.safetensors"])
def test_a_missing_part_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(DropnasError, match=f"run/{name}: no such file"):
        read_network(run, {})


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DropnasError, match="nowhere: no such run folder"):
        dropnas.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["network.json", "genotype.json", "network.safetensors"])
def test_a_truncated_part_is_named(run, name):
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DropnasError, match=f"run/{name}: ") as error:
        read_network(run, {})
    assert "\n" not in str(error.value)


def test_pickled_weights_are_never_opened(run):
    torch.save({"weight": torch.zeros(1)}, run / "network.safetensors")
    with pytest.raises(DropnasError, match="is damaged"):
        read_network(run, {})


def test_weights_of_another_network_are_refused(run):
    weights = load_file(run / "network.safetensors")
    weights["classifier.bias"] = torch.zeros(7)
    save_file(weights, run / "network.safetensors")
    with pytest.raises(DropnasError, match=r"does not fit .*classifier\.bias"):
        read_network(run, {})
    del weights["classifier.bias"]
    save_file(weights, run / "network.safetensors")
    with pytest.raises(DropnasError, match=r"does not fit .*classifier\.bias"):
        read_network(run, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "resnet"}, "network: input should be 'cifar' or 'imagenet', not .resnet"),
        ({"cells": "3"}, "cells: input should be a valid integer, not .3"),
        ({"cells": True}, "cells: input should be a valid integer, not true"),
        ({"cells": 0}, "cells is 0, but must be at least 1"),
        ({"pool_norm": 1}, "pool_norm: input should be a valid boolean, not 1"),
        ({"image_size": 8}, "image_size: input should be a valid array, not 8"),
        ({"image_size": [0, 8]}, "image_size is 0"),
        ({"squeeze_excitation": True}, "the CIFAR network has no squeeze-and-excitation"),
        ({"depth": 3}, "depth: unknown key"),
    ],
)
def test_a_wrong_shape_is_one_clear_line(run, change, message):
    (run / "network.json").write_text(json.dumps({**SHAPES["cifar"].values(), **change}))
    with pytest.raises(DropnasError, match=rf"network\.json: .*{message}"):
        read_network(run, {})


def test_the_imagenet_network_needs_two_channels():
    with pytest.raises(DropnasError, match="imagenet network: channels is 1, but must be at least 2"):
        NetworkFile("imagenet", 3, 1, 5, False, False, True, (32, 32))
