"""`auto` trains on the CPU only if there is no evidence that a GPU was given."""

from pathlib import Path

import pytest
import torch

from dropnas.errors import DropnasError
from dropnas.machine import allocation, compatibility, devices
from tests.unit.machine.stub_gpus import alone


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host on which torch sees no GPU; return the folder of its device files."""
    alone(monkeypatch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(compatibility, "driver_cuda", lambda: None)
    monkeypatch.setattr(compatibility, "refusal", lambda: "Found no NVIDIA driver on your system")
    monkeypatch.setattr(allocation, "DEVICES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_JOB_GPUS": "0"},
        {"SLURM_STEP_GPUS": "2,3"},
        {"SLURM_GPUS": "a100:2"},
        {"CUDA_VISIBLE_DEVICES": "0"},
        {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"},
        {"CUDA_VISIBLE_DEVICES": "MIG-40a39a2c"},
        {"NVIDIA_VISIBLE_DEVICES": "GPU-8932f937"},
        {"SLURM_JOB_GPUS": "0", "CUDA_VISIBLE_DEVICES": "NoDevFiles"},
    ],
)
def test_auto_is_an_error_where_a_gpu_was_given(
    blind: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DropnasError) as error, devices.claimed("auto"):
        pass
    name, value = next(iter(environment.items()))
    message = str(error.value)
    assert (
        f"{name}={value}" in message
        and "Found no NVIDIA driver" in message
        and "--nv" in message
        and "device: cpu" in message
    )
    assert "\n" not in message
    with devices.claimed("cpu") as device:
        assert device == "cpu"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "12"},
        {"SLURM_JOB_GPUS": ""},
        {"SLURM_GPUS": "0"},
        {"NVIDIA_VISIBLE_DEVICES": "all"},
        {"NVIDIA_VISIBLE_DEVICES": "void"},
        {"NVIDIA_VISIBLE_DEVICES": "none"},
        {"CUDA_VISIBLE_DEVICES": ""},
        {"CUDA_VISIBLE_DEVICES": "-1"},
        {"CUDA_VISIBLE_DEVICES": "NoDevFiles"},
    ],
)
def test_auto_is_the_cpu_where_none_was_given(
    blind: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with devices.claimed("auto") as device:
        assert device == "cpu"


def test_a_device_file_that_opens_is_a_gpu_that_was_given(blind: Path) -> None:
    for name in ("nvidiactl", "nvidia-uvm", "null"):
        (blind / name).touch()
    with devices.claimed("auto") as device:
        assert device == "cpu"
    (blind / "nvidia0").touch()
    with pytest.raises(DropnasError, match=r"nvidia0 opens"), devices.claimed("auto"):
        pass


def test_a_device_file_that_is_denied_or_hidden_on_purpose_is_not(blind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (blind / "nvidia0").mkdir()  # opening it to write fails, also for root
    assert allocation.evidence() == ""
    (blind / "nvidia1").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert allocation.evidence() == ""


def test_a_driver_that_is_too_old_is_what_is_reported(blind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility, "driver_cuda", lambda: (12, 2))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    with pytest.raises(DropnasError, match=r"up to CUDA 12\.2"), devices.claimed("auto"):
        pass
