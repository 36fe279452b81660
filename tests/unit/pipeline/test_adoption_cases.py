"""The small cases of an adoption leave defaults to the code that computes them."""

from dropnas.evaluate.config import RetrainConfig
from dropnas.pipeline.adoption.small_cases import small
from dropnas.search.config import SearchConfig


def test_options_at_their_default_are_left_to_the_code() -> None:
    """The old code of a trial may not know an option that was added later."""
    assert small("retrain", RetrainConfig()).keys() == {
        "cells", "channels", "epochs", "batch_size", "seed", "crop_padding", "cutout", "held_out"
    }  # fmt: skip
    found = small("search", SearchConfig(strategy="snas", epochs=50, learning_rate=0.1, crop_padding=0))
    assert (found["strategy"], found["learning_rate"], found["crop_padding"], found["epochs"]) == ("snas", 0.1, 0, 2)


def test_what_only_a_gpu_does_is_not_asked_of_a_cpu() -> None:
    found = small("retrain", RetrainConfig(memory_format="channels_last", precision="bf16"))
    assert "memory_format" not in found and found["precision"] == "bf16"
