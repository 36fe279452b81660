"""The small cases of an adoption leave out defaults, and the old code must be available."""

from pathlib import Path
from typing import Any

import pytest

from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.pipeline.adoption.adopt import old_source
from dropnas.pipeline.adoption.small_cases import small
from dropnas.search.config import SearchConfig


def test_options_at_their_default_are_left_to_the_code() -> None:
    """The old code of a trial may not know an option that was added later."""
    assert small("retrain", RetrainConfig()).keys() == {
        "cells", "channels", "epochs", "batch_size", "seed", "crop_padding", "cutout", "held_out"
    }  # fmt: skip
    found = small("search", SearchConfig(strategy="snas", epochs=50, learning_rate=0.1, crop_padding=0))
    assert (found["strategy"], found["learning_rate"], found["crop_padding"], found["epochs"]) == ("snas", 0.1, 0, 2)


def test_options_for_gpus_are_left_out_of_the_cases() -> None:
    found = small("retrain", RetrainConfig(memory_format="channels_last", precision="bf16"))
    assert "memory_format" not in found and found["precision"] == "bf16"


@pytest.mark.parametrize("git", [{}, {"commit": "", "dirty": True}, {"commit": "0" * 40, "dirty": True}])
def test_a_checkout_that_differed_from_its_commit_gives_no_old_code(tmp_path: Path, git: dict[str, Any]) -> None:
    record = {"id": "0123456789", "name": "a-run", "git": git}
    with pytest.raises(DropnasError, match="neither in a frozen start nor in a commit"), old_source(record, tmp_path):
        pass


def test_a_commit_of_another_checkout_is_one_line(tmp_path: Path) -> None:
    record = {"id": "0123456789", "name": "a-run", "git": {"commit": "0" * 40, "dirty": False}}
    with pytest.raises(DropnasError, match=r"not in this checkout.*git fetch"), old_source(record, tmp_path):
        pass
