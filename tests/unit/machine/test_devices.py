"""Devices are shared by locks, and exhausted resources are reported in one line. The GPUs are simulated."""

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from dropnas.errors import DropnasError
from dropnas.machine import devices, faults
from tests.unit.machine.stub_gpus import Gpu, alone, give

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A host with two GPUs, outside of any scheduler."""
    give(monkeypatch, [Gpu(), Gpu()])
    return monkeypatch


def test_without_a_gpu_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for wanted in ("auto", "cpu"):
        with devices.claimed(wanted) as device:
            assert device == "cpu"


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:7", "tpu", "cuda:", ""])
def test_a_device_that_is_not_there_is_named(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DropnasError, match="device") as error, devices.claimed(wanted):
        pass
    assert repr(wanted) in str(error.value) and "\n" not in str(error.value)


def test_two_jobs_get_two_gpus_and_give_them_back(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with devices.claimed("auto", locks=tmp_path) as first, devices.claimed("cuda", locks=tmp_path) as second:
        assert {first, second} == {"cuda:0", "cuda:1"}
    with devices.claimed("auto", locks=tmp_path) as again:
        assert again == "cuda:0"


def hold(locks: Path, connection: Any) -> None:
    with devices.claimed("auto", locks=locks) as device:
        connection.send(device)
        time.sleep(60)


def test_a_killed_job_gives_its_gpu_back_to_the_one_that_waits(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus.setattr(devices, "GPU_CHECK_SECONDS", 0.02)
    here, there = FORK.Pipe()
    holders = [FORK.Process(target=hold, args=(tmp_path, there)) for _ in range(2)]
    taken = []
    for holder in holders:
        holder.start()
        taken.append(here.recv())
    lines: list[str] = []

    def kill(line: str) -> None:
        lines.append(line)
        os.kill(holders[taken.index("cuda:1")].pid or 0, signal.SIGKILL)

    with devices.claimed("auto", progress=kill, locks=tmp_path) as device:
        assert device == "cuda:1"
    assert len(lines) == 1 and "waiting" in lines[0]
    for holder in holders:
        holder.kill()
        holder.join()


def test_in_an_allocation_of_several_gpus_each_run_takes_its_own(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"SLURM_JOB_ID": "12", "SLURM_JOB_GPUS": "3,5", "CUDA_VISIBLE_DEVICES": "3,5"}.items():
        gpus.setenv(name, value)
    with devices.claimed("auto", locks=tmp_path) as search:
        gpus.setenv("LOCAL_RANK", "0")  # a transfer at the same time
        with devices.claimed("auto", locks=tmp_path) as transfer:
            assert (search, transfer) == ("cuda:0", "cuda:1")


def test_a_single_gpu_of_a_scheduler_is_not_locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    give(monkeypatch, [Gpu()])
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with devices.claimed("auto", locks=tmp_path) as first, devices.claimed("cuda", locks=tmp_path) as second:
        assert first == second == "cuda:0"  # the workflow limits its jobs
    assert not list(tmp_path.iterdir())


def test_processes_of_torchrun_take_no_gpu_that_another_job_has(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with devices.claimed("auto", locks=tmp_path) as other:
        gpus.setenv("LOCAL_RANK", "0")
        with devices.claimed("auto", locks=tmp_path) as own:
            assert (other, own) == ("cuda:0", "cuda:1")


def test_more_processes_than_gpus_are_refused(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus.setenv("LOCAL_RANK", "2")
    with pytest.raises(DropnasError, match="no device"), devices.claimed("auto", locks=tmp_path):
        pass


def test_a_gpu_that_the_user_names_is_used(gpus: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with devices.claimed("cuda:1", locks=tmp_path) as first, devices.claimed("cuda:1", locks=tmp_path) as second:
        assert first == second == "cuda:1"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (OSError(errno.ENOSPC, "No space left on device", "some/file"), "some/file: the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "disk is full"),
    ],
)
def test_exhausted_resources_are_reported_in_one_line(error: Exception, words: str) -> None:
    with pytest.raises(DropnasError, match=words) as message, faults.reported("run"):
        raise error
    assert message.value.remedy and "\n" not in str(message.value)


def test_a_real_allocation_that_is_too_large_is_reported() -> None:
    with pytest.raises(DropnasError, match="memory"), faults.reported():
        torch.empty(2**50)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), FileNotFoundError(2, "no"), KeyError("x")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as passed, faults.reported():
        raise error
    assert passed.value is error
