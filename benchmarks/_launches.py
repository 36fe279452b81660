"""What the host does for a step on a GPU: kernel launches, launches of graphs, and waits."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

SYNCHRONISES = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")


def launches(step: Callable[[], object]) -> dict[str, int]:
    """How many of each in a step."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        step()
    names = [event.name for event in profiled.events()]
    return {
        "kernel_launches": sum("LaunchKernel" in name for name in names),
        "graph_launches": sum(name == "cudaGraphLaunch" for name in names),
        "synchronisations": sum(name in SYNCHRONISES for name in names),
    }
