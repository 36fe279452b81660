"""The effect of precision on one pass of the search: logits and gradients, compared with double precision.

Design choices: all passes have the same initial weights, alphas and images, and nothing is dropped. Differences are
therefore due to rounding, or to a bug. The reference is the plain supernet. A difference is the norm of the
deviation divided by the norm of the reference. `benchmarks.precision` shows the effect over an epoch.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks._pieces import attempted
from benchmarks._results import LEFT_OUT, ONLY_GPU
from benchmarks._workloads import Pass, noise, one_pass
from dropnas.search.config import SearchConfig
from dropnas.training import determinism

SIZE, TINY = SearchConfig(batch_size=32), SearchConfig(cells=3, channels=2, batch_size=4)
SIDE, TINY_SIDE = 32, 8


def measure(device: str, tiny: bool = False) -> Iterator[tuple[str, Any]]:
    """The norms of the reference; then, for each pass in `_passes`, its differences from the reference."""
    determinism.apply(0, device, 1)
    size, side = (TINY, TINY_SIDE) if tiny else (SIZE, SIDE)
    images = noise(size.batch_size, side, device)
    right = attempted(one_pass, Pass(size, plain=True, dtype=torch.float64), images, device)
    yield "fp64 plain", _norms(right)
    if not isinstance(next(iter(right.values())), Tensor):
        return
    for name, of in _passes(size).items():
        yield name, attempted(_apart, of, right, images, device)


def _passes(size: SearchConfig) -> dict[str, Pass]:
    found = {"fp32 plain": Pass(size, plain=True)}
    for kernels in ("torch", "triton"):
        for kind in ("fp32", "tf32", "bf16"):
            config = replace(size, kernels=kernels, precision=kind)  # type: ignore[arg-type]
            found[f"{kind}, {kernels}"] = Pass(config)
    return found


def _apart(wanted: Pass, right: dict[str, Tensor], images: Any, device: str) -> dict[str, Any]:
    if device == "cpu" and wanted.config.kernels == "triton":
        return ONLY_GPU
    if device == "cpu" and wanted.config.precision == "tf32":
        return {LEFT_OUT: "only a GPU has TF32"}
    found = one_pass(wanted, images, device)
    return {name: float(f"{(found[name] - value).norm() / value.norm():.3g}") for name, value in right.items()}


def _norms(found: dict[str, Any]) -> dict[str, Any]:
    return {name: float(value.norm()) if isinstance(value, Tensor) else value for name, value in found.items()}
