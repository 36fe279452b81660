"""Finds the kernels (on a CPU, the operations) that take most of a step's time, with torch's profiler."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks._limits import until_done

LARGEST = 12  # number of kernels to list
NAME = 100  # maximum length of a kernel's name


def by_kernel(step: Callable[[], object], device: str) -> dict[str, Any]:
    """Profile a step after one warm-up run: the number of kernels, their total time, and the slowest ones."""
    on_gpu, waiting = device.startswith("cuda"), until_done(step, device)
    waiting()
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiled:
        waiting()
    calls, times = defaultdict[str, int](int), defaultdict[str, float](float)
    for event in profiled.events():
        if event.device_type == (DeviceType.CUDA if on_gpu else DeviceType.CPU):
            calls[event.name] += 1
            times[event.name] += event.time_range.elapsed_us() if on_gpu else event.self_cpu_time_total
    if not calls:
        raise RuntimeError("the profiler saw no kernel; it may lack permission to profile the GPU")
    total = sum(times.values())
    return {
        "kernels": sum(calls.values()),
        "milliseconds": round(total / 1000, 3),
        "largest": [
            {
                "kernel": name[:NAME],
                "calls": calls[name],
                "milliseconds": round(times[name] / 1000, 3),
                "percent": round(100 * times[name] / total, 1) if total else 0.0,
            }
            for name in sorted(times, key=lambda name: -times[name])[:LARGEST]
        ],
    }


def peak_memory(device: str) -> dict[str, float]:
    """The peaks of a GPU's allocated and reserved memory since `reset_peak`, in gigabytes; empty for a CPU."""
    if not device.startswith("cuda"):
        return {}
    return {
        "peak GB allocated": round(torch.cuda.max_memory_allocated(device) / 1e9, 3),
        "peak GB reserved": round(torch.cuda.max_memory_reserved(device) / 1e9, 3),
    }


def reset_peak(device: str) -> None:
    """Reset the peak memory statistics of a GPU."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
