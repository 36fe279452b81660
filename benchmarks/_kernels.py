"""Counts the kernels of a GPU program on torch's `meta` device, which tracks shapes and types but computes nothing.

Design choices: each operation that is not a view counts as one kernel, although a library may launch several. Each
kernel is assumed to read its inputs and write its outputs once. On a real GPU, a normalisation reads its input twice,
and cached data are not read again. The figures describe the program, not the behaviour of a device. Operations that a
CUDA graph must not contain are rejected: reading a value on the host, mixing devices, and operations whose
deterministic form synchronises with the host in some versions of torch. A launch of one of our Triton kernels is
assumed to move each tensor among its arguments once.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks._workloads import AUTOCASTS

VIEWS = {
    *("view", "_unsafe_view", "t", "transpose", "permute", "expand", "slice", "select", "unbind", "split", "unfold"),
    *("split_with_sizes", "unsqueeze", "squeeze", "detach", "as_strided", "alias", "empty", "empty_like", "new_empty"),
    *("lift_fresh", "_reshape_alias"),
}
LOOKING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "repeat_interleave", "bincount", "equal"}
LOOKING_WHERE_DETERMINISTIC = {
    *("index_put", "index_put_", "_index_put_impl_", "index_copy", "index_copy_", "index_add", "index_add_", "put_"),
    *("scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_"),
}
PRODUCTS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}  # the index of the argument that is the left matrix
THIN, LONG = 8, 100_000  # a product is slow if a side is below THIN and the inner dimension is above LONG
SMALL = 10**6  # bytes; for a kernel that moves less, the launch time dominates


class Kernels(TorchDispatchMode):
    """Counts kernels and the bytes that they move, grouped by name."""

    active: ClassVar[list["Kernels"]] = []

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.thin: Counter[str] = Counter()
        self.small = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation._schema.name.split("::")[1]
        given = _tensors((args, kwargs))
        if name in LOOKING or (torch.are_deterministic_algorithms_enabled() and name in LOOKING_WHERE_DETERMINISTIC):
            raise AssertionError(f"{name} may wait for the device")
        answer = operation(*args, **(kwargs or {}))
        made = [tensor for tensor in _tensors(answer) if not any(tensor is other for other in given)]
        devices = {tensor.device.type for tensor in (*given, *made) if tensor.dim() or tensor.device.type != "cpu"}
        if len(devices) > 1:
            raise AssertionError(f"{name} mixes devices: {sorted(devices)}")
        if name in PRODUCTS:
            self._note_product(*args[PRODUCTS[name] :][:2])
        if name not in VIEWS:
            self.count(name, sum(tensor.nbytes for tensor in (*given, *made)))
        return answer

    def _note_product(self, left: Tensor, right: Tensor) -> None:
        (rows, inner), columns = left.shape[-2:], right.shape[-1]
        if min(rows, columns) < THIN and inner > LONG:
            self.thin[f"{rows} x {inner} x {columns}"] += 1

    def count(self, name: str, moved: int) -> None:
        """Count one kernel."""
        self.kernels[name] += 1
        self.bytes[name] += moved
        self.small += moved < SMALL

    def __enter__(self) -> "Kernels":
        self.active.append(self)
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *error: object) -> None:
        self.active.remove(self)
        super().__exit__(*error)


def _launched(kernel: Any, *args: Any, grid: Any, warmup: bool, **constants: Any) -> None:
    """Count a launch of a Triton kernel, which is assumed to move each of its tensors once."""
    moved = sum(tensor.nbytes for tensor in {id(tensor): tensor for tensor in _tensors(args)}.values())
    for counter in Kernels.active:
        counter.count(kernel.__name__, moved)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


@contextlib.contextmanager
def as_on_a_gpu(launching: bool = False) -> Iterator[None]:
    """Let GPU code run on `meta`.

    This concerns foreach operations, fused optimisers, our Triton kernels, and the backward pass of batch norm, which
    must keep the memory layout of the feature maps. Launches of our Triton kernels are counted or, if `launching`,
    passed on to Triton. autocast is disabled, because it does not support `meta`.
    """
    nothing: Callable[..., Any] = lambda *_, **__: contextlib.nullcontext()  # noqa: E731
    library = torch.library.Library("aten", "IMPL", "Meta")
    for name, shapes in ONLY_ON_A_GPU.items():
        library.impl(name, shapes)
    with contextlib.ExitStack() as patches:
        patches.callback(library._destroy)
        patches.enter_context(mock.patch("torch.nn.utils.clip_grad._device_has_foreach_support", lambda device: True))
        for place in (*AUTOCASTS, "torch.autocast"):
            patches.enter_context(mock.patch(place, nothing))
        patches.enter_context(mock.patch("torch.is_autocast_enabled", lambda *_: False))
        if find_spec("triton") and not launching:
            patches.enter_context(mock.patch("triton.runtime.jit.JITFunction.run", _launched))
        yield


def _of_batch_norm(_: Tensor, maps: Tensor, scale: Tensor | None, *others: Any) -> tuple[Tensor, ...]:
    """Return empty gradients with respect to the feature maps, shape (B, C, ...), the scale and the shift.

    Unlike torch's own implementation for `meta`, this one keeps the memory layout of the feature maps.
    """
    like = maps if scale is None else scale
    return torch.empty_like(maps), *(like.new_empty(maps.shape[1]) for _ in range(2))


ONLY_ON_A_GPU: dict[str, Callable[..., Any]] = {
    "_fused_sgd_.tensor_lr": lambda *_, **__: None,
    "_fused_adam_.tensor_lr": lambda *_, **__: None,
    "native_batch_norm_backward": _of_batch_norm,
}
