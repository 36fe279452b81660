"""A GPU that this build of torch cannot use is reported in one line before anything is trained."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from dropnas.config import Machine
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig
from dropnas.machine import compatibility, devices, faults
from dropnas.pipeline import compute
from dropnas.pipeline.specs import spec
from dropnas.runs.identity import Run
from dropnas.workspace import silent
from tests.unit.machine.stub_gpus import WHEEL, Gpu, give

CU126 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
V100, L40 = Gpu("Tesla V100-SXM2-16GB", (7, 0)), Gpu("NVIDIA L40", (8, 9))


def refused(wanted: str = "auto") -> DropnasError:
    with pytest.raises(DropnasError) as error, devices.claimed(wanted):
        pytest.fail("a device was given")
    assert "\n" not in str(error.value) and error.value.remedy
    return error.value


@pytest.mark.parametrize(
    ("cuda", "driver", "words"),
    [
        ("13.0", (12, 9), ["CUDA 12.9", "CUDA 13", "580", "for CUDA 12"]),
        ("13.0", (12, 0), ["CUDA 12.0", "580"]),
        ("12.6", (11, 8), ["CUDA 11.8", "CUDA 12", "525", "for CUDA 11"]),
    ],
)
def test_a_driver_of_an_older_cuda_is_refused(
    monkeypatch: pytest.MonkeyPatch, cuda: str, driver: tuple[int, int], words: list[str]
) -> None:
    give(monkeypatch, [Gpu()], driver=driver, cuda=cuda)
    for wanted in ("auto", "cuda", "cuda:0"):
        message = str(refused(wanted))
        assert all(word in message for word in [*words, torch.__version__, "update the driver"])


@pytest.mark.parametrize(
    ("cuda", "driver"), [("12.8", (12, 0)), ("13.0", (13, 0)), ("13.2", (13, 0)), ("12.6", (13, 1))]
)
def test_a_driver_of_the_same_major_version_or_a_newer_one_will_do(
    monkeypatch: pytest.MonkeyPatch, cuda: str, driver: tuple[int, int]
) -> None:
    give(monkeypatch, [Gpu()], driver=driver, cuda=cuda)
    with devices.claimed("auto") as device:
        assert device == "cuda:0"


def test_the_number_of_the_driver_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded = tmp_path / "version"
    loaded.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build\nGCC version: 12.3\n"
    )
    monkeypatch.setattr(compatibility, "LOADED", loaded)
    give(monkeypatch, [Gpu()], driver=(12, 2))
    assert "the NVIDIA driver 535.104.05 runs programs up to CUDA 12.2" in str(refused())


@pytest.mark.parametrize(
    ("gpu", "code", "cuda", "age"),
    [(V100, WHEEL, "13.0", "an older"), (Gpu("NVIDIA B200", (10, 0)), CU126, "12.6", "a newer")],
)
def test_a_gpu_that_torch_has_no_code_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, gpu: Gpu, code: tuple[str, ...], cuda: str, age: str
) -> None:
    give(monkeypatch, [gpu], code=code, cuda=cuda)
    message = str(refused())
    number = f"{gpu.capability[0]}.{gpu.capability[1]}"
    assert all(word in message for word in ("GPU 0", gpu.name, number, *code, f"{age} CUDA", "docs/cluster.md"))


@pytest.mark.parametrize(
    ("capability", "code", "runs"),
    [
        ((7, 0), WHEEL, False),
        ((7, 0), CU126, True),
        ((7, 5), ("sm_70",), True),
        ((8, 9), WHEEL, True),
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_80", "sm_86"), False),
        ((9, 0), ("sm_80", "compute_80"), True),
        ((7, 5), ("compute_80",), False),
        ((10, 3), ("sm_100",), True),
        ((12, 1), WHEEL, True),
    ],
)
def test_machine_code_runs_within_a_major_version_and_ptx_on_all_that_is_newer(
    capability: tuple[int, int], code: tuple[str, ...], runs: bool
) -> None:
    assert compatibility.runs_on(list(code), capability) is runs


def test_one_of_several_gpus_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    give(monkeypatch, [L40, V100])
    with devices.claimed("auto", locks=tmp_path) as first, pytest.raises(DropnasError, match=r"GPU 1 \(Tesla V100"):
        assert first == "cuda:0"
        with devices.claimed("auto", locks=tmp_path):
            pass


def fails(text: str) -> Callable[..., object]:
    def fail(*arguments: object) -> object:
        raise RuntimeError(text)

    return fail


@pytest.mark.parametrize("entry", ["init", "set_device", "get_device_capability"])
def test_a_counted_gpu_on_which_cuda_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    give(monkeypatch, [Gpu()])
    monkeypatch.setattr(torch.cuda, entry, fails("CUDA driver error: something new\nmore for the author\n"))
    message = str(refused())
    assert "does not start" in message and "(CUDA driver error: something new)" in message and "nvidia-smi" in message


def test_a_driver_without_its_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, [Gpu()], driver=None)
    monkeypatch.setattr(
        torch.cuda, "init", fails("Found no NVIDIA driver on your system. Please check that you have one")
    )
    assert str(refused()).startswith("CUDA does not start (Found no NVIDIA driver on your system); ")


def test_the_chosen_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    current = give(monkeypatch, [Gpu(), Gpu()])
    with devices.claimed("auto", locks=tmp_path), devices.claimed("auto", locks=tmp_path), devices.claimed("cuda:1"):
        assert current == [0, 1, 1]
    with devices.claimed("cpu"):
        assert len(current) == 3


def test_bf16_needs_a_gpu_that_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, [Gpu("Tesla T4", (7, 5)), L40])
    with pytest.raises(DropnasError, match=r"bf16 needs .* 8\.0 or higher; Tesla T4 has 7\.5"):
        compatibility.require_precision("cuda:0", "bf16")
    for device, precision in (("cuda:0", "fp32"), ("cuda:0", "tf32"), ("cuda:1", "bf16"), ("cpu", "bf16")):
        compatibility.require_precision(device, precision)


def test_a_run_in_bf16_is_refused_before_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, [Gpu("Tesla T4", (7, 5))])
    one, other = (
        spec(Run("retrain", "x", RetrainConfig(precision=precision), (), "code"), "test", Machine())
        for precision in ("bf16", "fp32")
    )
    with ExitStack() as stack, pytest.raises(DropnasError, match="bf16"):
        compute._device(one, stack, silent)
    with ExitStack() as stack:
        assert compute._device(other, stack, silent) == "cuda:0"


CUDA_ERROR = (
    "CUDA error: {}\nSearch for `cudaError' in https://docs.nvidia.com\nCUDA kernel errors might be reported later\n"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The NVIDIA driver on your system is too old (found version 12020). Please update", "driver is too old"),
        (CUDA_ERROR.format("CUDA driver version is insufficient for CUDA runtime version"), "driver is too old"),
        (CUDA_ERROR.format("no kernel image is available for execution on the device"), "no code for the GPU"),
        (CUDA_ERROR.format("the provided PTX was compiled with an unsupported toolchain."), "no code for the GPU"),
        ("Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized", "CUDA does not start"),
        ("Failed to initialize NVML: Driver/library version mismatch", "is not the installed one"),
        ("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:1016", "is not the installed one"),
        (CUDA_ERROR.format("system has unsupported display driver / cuda driver combination"), "is not the installed"),
        (CUDA_ERROR.format("CUDA-capable device(s) is/are busy or unavailable"), "another process"),
        (CUDA_ERROR.format("all CUDA-capable devices are busy or unavailable"), "another process"),
        (CUDA_ERROR.format("uncorrectable ECC error encountered"), "memory is damaged"),
        ("No CUDA GPUs are available", "CUDA does not start"),
    ],
)
def test_faults_of_the_machine_that_cuda_reports_later_are_one_line(text: str, words: str) -> None:
    with pytest.raises(DropnasError, match=words) as message, faults.reported("run"):
        raise RuntimeError(text)
    assert message.value.where == "run" and message.value.remedy and "\n" not in str(message.value)


@pytest.mark.parametrize(
    "text",
    [
        CUDA_ERROR.format("device-side assert triggered"),
        CUDA_ERROR.format("an illegal memory access was encountered"),
        "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
    ],
)
def test_mistakes_of_the_program_that_cuda_reports_keep_their_traceback(text: str) -> None:
    with pytest.raises(RuntimeError, match=r"assert|illegal|same device"), faults.reported():
        raise RuntimeError(text)


def test_a_gpu_without_memory_is_named_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, [Gpu(), Gpu("NVIDIA A40")])
    text = (
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 79.25 GiB of which 1.21 GiB is "
        "free. Including non-PyTorch memory, this process has 78.00 GiB memory in use."
    )
    with pytest.raises(DropnasError) as message, faults.reported("run"):
        raise torch.OutOfMemoryError(text)
    assert message.value.what == (
        "GPU 1 (NVIDIA A40, 80.0 GiB) has too little memory (2.00 GiB more were needed, 1.21 GiB were free)"
    )
    assert "seeds_at_once" in message.value.remedy


def test_a_gpu_whose_context_finds_no_memory_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, [Gpu()])
    monkeypatch.setattr(torch.cuda, "set_device", fails(CUDA_ERROR.format("out of memory")))
    assert str(refused()).startswith("GPU 0 (NVIDIA H100, 80.0 GiB) has too little memory; ")


def test_without_torch_an_error_of_its_kind_is_still_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(DropnasError, match="the GPU has too little memory"), faults.reported():
        raise RuntimeError("CUDA out of memory.")
