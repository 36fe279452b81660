"""Counts the work of the host in a GPU step: kernel launches, graph launches, and waits.

Design choices: only events inside the step are counted, because the profiler itself waits for the device when it ends.
"""

from collections.abc import Callable

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

SPAN = "the step"
SYNCHRONISES = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")


def launches(step: Callable[[], object]) -> dict[str, int]:
    """Count the launches and waits in a step that has already run at least once."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled, record_function(SPAN):
        step()
    events = profiled.events()
    # an event named SPAN also appears among the device's events
    on_the_host = [event for event in events if event.device_type == DeviceType.CPU]
    span = next(event.time_range for event in on_the_host if event.name == SPAN)
    inside = [event.name for event in on_the_host if span.start <= event.time_range.start <= span.end]
    return {
        "kernel_launches": sum("LaunchKernel" in name for name in inside),
        "graph_launches": sum(name == "cudaGraphLaunch" for name in inside),
        "synchronisations": sum(name in SYNCHRONISES for name in inside),
    }
