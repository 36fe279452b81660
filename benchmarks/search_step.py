"""A step of the search: by the plain supernet, by the engine for a single seed, and by the engine for groups of seeds.

Design choices: the timed steps are those of the stage, including augmentation, masks and both optimisers; the images
are noise. The time includes drawing the random numbers of an epoch. A rate counts the images of all seeds. On a CPU,
three variants are timed alternately: the plain supernet; a single seed, which skips dropped operations; and a group of
one seed, which computes them. Groups of several seeds are then timed in the same manner. On a GPU, a group of one seed
is measured with Triton's kernels and with torch's, followed by the measurements of `make gpu`. When the group is first
started there, Triton compiles the kernels that are not yet in its cache; a second start finds them all. Peak memory is
measured during the first step of each variant; on a CPU, each variant runs in a separate process for this. The share of
the arithmetic limit assumes that a step costs three forward passes of the plain supernet with nothing dropped. The
share of the bandwidth limit counts each tensor kept for the backward pass as written once and read once, so it is a
lower bound. To show how the cost grows, sizes that differ in one number from a base size are measured.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import _search_on_gpu, _strategies
from benchmarks._interleaved import compared, in_turns, spread
from benchmarks._limits import conditions, limits
from benchmarks._searches import Size, Trained, Way, peak_of_process
from dropnas.errors import DropnasError
from dropnas.search.supernet import Supernet
from dropnas.space.spaces import ORIGINAL
from dropnas.training import determinism

WAYS: tuple[Way, ...] = ("plain", "single", "grouped")  # the others are compared with the first one
WAYS_CUDA: tuple[Way, ...] = ("grouped, torch's kernels", "grouped")
SIZES = {"paper": Size(14, 16, 8, 32, 4), "smoke": Size(3, 4, 64, 8, 10)}
PAPER_ON_GPU = Size(14, 16, 96, 32, 5, steps=4)
SIZES_CUDA = {
    "paper in bf16": replace(PAPER_ON_GPU, precision="bf16"),
    "paper": PAPER_ON_GPU,
    "paper in tf32": replace(PAPER_ON_GPU, precision="tf32"),
}
SEEDS = {"smoke": (2, 4, 8)}
FIRST, FIRST_CUDA = Size(3, 4, 16, 16, 3), Size(8, 16, 32, 32, 3, steps=4, precision="bf16")


def measure(
    device: str, only: str | None = None, tiny: bool = False, strategies: bool = False
) -> Iterator[tuple[str, Any]]:
    """Measure all variants: rates, ratios, peak memory, time to the first step, shares of the limits, growth with size.

    `only` selects a part of the measurements for a GPU. `strategies` measures a step of every search method instead.
    With either of these options, `tiny` selects tiny sizes.

    Raises:
        DropnasError: there is no such part, or `only` and `strategies` were both requested.
    """
    if strategies and only:
        raise DropnasError("takes --only or --strategies, not both", where="search-step")
    if strategies:
        yield from _strategies.measure(device, tiny)
        return
    if only not in (None, *_search_on_gpu.PARTS):
        raise DropnasError(f"no part {only!r}", remedy=f"one of {', '.join(_search_on_gpu.PARTS)}")
    determinism.apply(0, device, 1)
    yield from conditions().items()
    if only is None:
        yield from _all_ways(device)
    for part in [only] if only else _search_on_gpu.PARTS if device != "cpu" else ():
        yield from _search_on_gpu.PARTS[part](device, tiny)


def _all_ways(device: str) -> Iterator[tuple[str, Any]]:
    on_gpu, bounds = device != "cpu", limits(device)
    yield "limits", bounds
    for name, size in (SIZES_CUDA if on_gpu else SIZES).items():
        yield name, _measured(size, device, bounds)
        for count, found in _groups(size, () if on_gpu else SEEDS.get(name, ()), device):
            yield f"{name}, {count} seeds as a group", found
    yield from _growth(FIRST_CUDA if on_gpu else FIRST, device)


def _measured(size: Size, device: str, bounds: dict[str, float]) -> dict[str, Any]:
    """Measure all variants for one seed; time them alternately."""
    ways = WAYS_CUDA if device.startswith("cuda") else WAYS
    trained = {way: Trained(size, way, device) for way in ways}
    starts = {way: trained[way].started() for way in ways}
    found = in_turns({way: trained[way].timed() for way in ways}, size.rounds)
    first, *others = ways
    paces = {name: compared({way: found[way] for way in (name, first)}, name) for name in others}
    result: dict[str, Any] = {**vars(size), "ratio": {name: pace["ratio"][first] for name, pace in paces.items()}}
    for way in ways:
        pace = spread(found[way])
        result[way] = {"images_per_second": pace, "seconds_to_first_step": starts[way]}
        result[way] |= _shares(size, trained[way].eager, pace["median"], bounds)
        result[way] |= trained[way].launches() if device.startswith("cuda") else {}
    peaks = {way: trained[way].peak for way in ways}
    trained.clear()
    for way in ways:
        result[way]["peak_memory_bytes"] = _peak_in_a_process(size, way) if device == "cpu" else peaks[way]
    if device != "cpu":
        result["grouped"]["seconds_to_first_step_again"] = Trained(size, "grouped", device).started()
    return result


def _groups(size: Size, seeds: Sequence[int], device: str) -> Iterator[tuple[int, Any]]:
    """Measure groups of several seeds, alternating with a group of one: rates, ratios to the latter, and memory."""
    if not seeds:
        return
    sizes = {count: replace(size, seeds=count) for count in seeds}
    trained = {str(of.seeds): Trained(of, "grouped", device) for of in (size, *sizes.values())}
    found = in_turns({name: of.timed() for name, of in trained.items()}, size.rounds)
    for count, of_count in sizes.items():
        pace = found[str(count)]
        yield (
            count,
            {
                "images_per_second": spread(pace),
                "ratio_to_one": spread([ours / one for ours, one in zip(pace, found["1"], strict=True)]),
                "peak_memory_bytes": _peak_in_a_process(of_count, "grouped"),
            },
        )


def _growth(first: Size, device: str) -> Iterator[tuple[str, Any]]:
    """Measure the size `first`, and other sizes that each differ from it in one number."""
    changes: list[dict[str, int]] = [{}, {"cells": 2 * first.cells}, {"channels": 2 * first.channels}]
    changes += [{"batch": 2 * first.batch}, {"seeds": 2}, {"seeds": 4}]
    for change in changes:
        point = replace(first, **change)  # type: ignore[arg-type]
        what = "".join(f", {value} {name}" for name, value in change.items())
        yield f"growth{what}", {**vars(point), **_alone(point, device)}


def _alone(size: Size, device: str) -> dict[str, Any]:
    """Measure one group on its own: images per second of all its seeds, time to the first step, peak memory."""
    trained = Trained(size, "grouped", device)
    start, once = trained.started(), trained.timed()
    return {
        "images_per_second": spread([once() for _ in range(size.rounds)]),
        "seconds_to_first_step": start,
        "peak_memory_bytes": _peak_in_a_process(size, "grouped") if device == "cpu" else trained.peak,
    }


def _peak_in_a_process(size: Size, way: Way) -> int:
    """The peak memory, in bytes, of a process that runs one step on a CPU."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, size, way).result()


def _peak_here(size: Size, way: Way) -> int:
    determinism.apply(0, "cpu", 1)
    Trained(size, way, "cpu").started()
    return peak_of_process()


def _shares(size: Size, step: Callable[[], object], pace: float, bounds: dict[str, float]) -> dict[str, float]:
    kept = 0

    def count(saved: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += saved.nbytes
        return saved

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        step()
    return {
        "kept_for_backward_bytes_per_image": kept / size.batch,
        "share_of_bandwidth_at_least": 2 * kept / size.batch * pace / bounds["copied_bytes_per_second"],
        "share_of_arithmetic": 3 * _flops(size) * pace / bounds["flops_per_second"],
    }


def _flops(size: Size) -> float:
    """The number of floating-point operations in the plain supernet's forward pass for one image."""
    with torch.device("meta"):
        supernet = Supernet(ORIGINAL, size.channels, size.cells, 10)
        images, alphas = torch.empty(1, 3, size.side, size.side), torch.empty(14, 8)
    mixture = [[[(index, alphas[0, 0]) for index in range(8)] for _ in range(14)] for _ in range(size.cells)]
    with FlopCounterMode(display=False) as counter:
        supernet.eval()(images, mixture)
    return counter.get_total_flops()
