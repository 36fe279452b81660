"""What a step asks of the host on a GPU: launches of kernels and graphs, and waits for the device.

Design: only what happens inside the step counts; the profiler itself waits for the device when it ends.
"""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile, record_function

SPAN = "the step"
LAUNCHES = ("LaunchKernel", "cudaGraphLaunch")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def launches(step: Callable[[], object]) -> dict[str, int]:
    """Launches, launches of whole graphs among them, and waits of the host in a step that was run before."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled, record_function(SPAN):
        step()
    events = profiled.events()
    span = next(event.time_range for event in events if event.name == SPAN)
    inside = [event.name for event in events if span.start <= event.time_range.start <= span.end]
    return {
        "launches": sum(any(word in name for word in LAUNCHES) for name in inside),
        "graph_launches": sum("cudaGraphLaunch" in name for name in inside),
        "synchronisations": sum(name in WAITS or name == "cudaMemcpy" for name in inside),
    }
