"""The small operations of a training step, each measured separately. A step costs at least as much as its operations.

Design choices: the operations are timed by `benchmarks._graph`. The tiny matrix products compute the gradients with
respect to the mixing weights of parameter-free operations. They have few rows and columns; their inner dimension is the
number of values in a batch of feature maps. "in chunks" splits the inner dimension, computes a batch of smaller
products, and sums these in fp32. To measure Triton's kernels, a program that launches all of them runs once. The first
launch of each kind is then repeated on its own. The cheapest operations come first.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import _workloads
from benchmarks._graph import microseconds
from benchmarks._pieces import attempted
from benchmarks._results import ONLY_GPU
from dropnas.errors import DropnasError
from dropnas.training import determinism

BATCH, NODES, CHUNKS = 96, 7000, 1024
STATES = ((16, 32), (32, 16), (64, 8))  # channels and side of the maps at the three depths of the search
ROWS, COLUMNS = 4, 3  # number of edges from a state, number of operations without parameters
RETRAINED, RETRAINED_BATCH = ((36, 32), (72, 16), (144, 8)), 192
LAYOUTS = {"native": torch.contiguous_format, "channels last": torch.channels_last}


def measure(device: str, tiny: bool = False) -> Iterator[tuple[str, Any]]:
    """The time of each operation in microseconds, by name."""
    determinism.apply(0, device, 1)
    batch, retrained, nodes = (2, 2, 70) if tiny else (BATCH, RETRAINED_BATCH, NODES)
    yield f"{nodes:,} empty nodes, us", attempted(_empty, nodes, device)
    for channels, side in STATES:
        inner = batch * side * side * channels
        yield f"tiny product, {inner:,} long, us", attempted(_products, inner, device)
    for channels, side in RETRAINED:
        for size in (3, 5):
            found = attempted(_depthwise, retrained, channels, side, size, device)
            yield f"depthwise {size}x{size}, {channels} channels, us", found
    for channels, side in STATES:
        yield f"Triton, {channels} channels, us", attempted(_triton, channels, side, batch, device)


def _empty(nodes: int, device: str) -> dict[str, float]:
    value = torch.zeros(1, device=device)
    each = microseconds(lambda: value.add_(1), device, repeats=nodes)
    return {"of a node": each, "of all": round(nodes * each, 1)}


def _products(inner: int, device: str) -> dict[str, float]:
    """Time the tiny products in bf16 and fp32, each as a single product and in chunks."""
    found = {}
    for dtype in (torch.bfloat16, torch.float32):
        rows = torch.ones(1, ROWS, inner, dtype=dtype, device=device)
        columns = torch.ones(1, COLUMNS, inner, dtype=dtype, device=device)
        name = str(dtype).removeprefix("torch.")
        found[f"{name}, as it is"] = microseconds(lambda: rows @ columns.transpose(1, 2), device)  # noqa: B023
        found[f"{name}, in chunks"] = microseconds(lambda: in_chunks(rows, columns), device)  # noqa: B023
    return found


def in_chunks(rows: Tensor, columns: Tensor) -> Tensor:
    """Multiply `rows`, (K, M, inner), by the transpose of `columns`, (K, N, inner), in chunks; sum these in fp32."""
    chunks = next(count for count in range(min(CHUNKS, rows.shape[2]), 0, -1) if rows.shape[2] % count == 0)
    left, right = (each.unflatten(2, (chunks, -1)).transpose(1, 2) for each in (rows, columns))
    return (left @ right.transpose(2, 3)).sum(dim=1, dtype=torch.float32)


def _depthwise(batch: int, channels: int, side: int, size: int, device: str) -> dict[str, float]:
    """Time torch's depthwise convolution in bf16: the forward pass alone, and together with the backward pass."""
    found = {}
    for name, layout in LAYOUTS.items():
        maps = torch.ones(batch, channels, side, side, dtype=torch.bfloat16, device=device)
        maps = maps.contiguous(memory_format=layout).requires_grad_()
        kernels = torch.ones(channels, 1, size, size, dtype=torch.bfloat16, device=device, requires_grad=True)
        forward = partial(functional.conv2d, maps, kernels, padding="same", groups=channels)
        found[f"{name}, forward"] = microseconds(forward, device)
        found[f"{name}, there and back"] = microseconds(partial(_there_and_back, forward, maps, kernels), device)
    return found


def _there_and_back(forward: Callable[[], Tensor], maps: Tensor, kernels: Tensor) -> None:
    torch.autograd.grad(forward(), [maps, kernels], maps)  # any upstream gradient of this shape is sufficient


def _triton(channels: int, side: int, batch: int, device: str) -> dict[str, Any]:
    """Each Triton kernel in bf16, by name; "normalised" kernels apply a batch norm to the maps that they read."""
    if device == "cpu":
        return ONLY_GPU
    program = _workloads.triton_kernels(channels, side, batch, device, torch.bfloat16)
    _workloads.compile_triton_kernels(program)
    return {name: microseconds(launch, device) for name, launch in launched_by(program).items()}


def launched_by(program: Callable[[], None]) -> dict[str, Callable[[], object]]:
    """The first launch of each kind of Triton kernel in a program, as a function that repeats it."""
    from triton.runtime.jit import JITFunction

    found, run = dict[str, Callable[[], object]](), JITFunction.run

    def note(kernel: Any, *args: Any, **options: Any) -> Any:
        name = f"{kernel.__name__}, normalised" if options.get("NORMED") else kernel.__name__
        found.setdefault(name, lambda: run(kernel, *args, **options))
        return run(kernel, *args, **options)

    with mock.patch.object(JITFunction, "run", note):
        program()
    if not found:
        raise DropnasError("the program launched no Triton kernel")
    return found
