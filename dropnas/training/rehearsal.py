"""A stand-in for CUDA graphs on a CPU, for tests: it records the operations of a program and replays them.

Design choices: a recording keeps torch's operations with their tensors, and a replay repeats these operations without
the program's own code. As with a CUDA graph, a replay uses the Python values and tensors of the recording, even if the
program has since replaced them. A program that reads a value back or draws random numbers is rejected.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dropnas.training.graphs import Program, not_recordable

READ_BACKS = ("_local_scalar_dense", "equal", "nonzero", "masked_select")


class Rehearsal:
    """Replaces `dropnas.training.graphs.CudaRecorder` in tests."""

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        yield

    def record(self, program: Program) -> Program:
        """Record a program. Raises DropnasError if it reads a value back or draws random numbers."""
        with _Recording() as recording:
            program()
        replay: Program = recording.replay
        return replay


class _Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records all operations, then restores the tensors that existed before; a recording must not change them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.made: set[int] = set()  # addresses of storages allocated while recording; `calls` keeps them alive
        self.before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = operation._schema.name.removeprefix("aten::")
        if name in READ_BACKS:
            raise not_recordable(f"{name} reads a value back")
        if torch.Tag.nondeterministic_seeded in operation.tags:
            raise not_recordable(f"{name} draws random numbers")
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if operation._schema.is_mutable or "batch_norm" in name:  # the schema of batch_norm omits running statistics
            self._keep(given)
        answer = operation(*args, **kwargs)
        addresses = {_address(tensor) for tensor in given}
        made = [leaf for leaf in tree_leaves(answer) if isinstance(leaf, Tensor) and _address(leaf) not in addresses]
        self.made |= {_address(tensor) for tensor in made}
        if operation._schema.is_mutable or made:  # everything else is a view
            self.calls.append((operation, args, kwargs, answer if made else None))
        return answer

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for tensor, old in self.before.values():
                tensor.copy_(old)

    def _keep(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            key = _address(tensor)
            if key not in self.made and key not in self.before:
                flat = tensor.detach().as_strided((tensor.untyped_storage().nbytes() // tensor.itemsize,), (1,), 0)
                self.before[key] = (flat, flat.clone())

    @torch.no_grad()
    def replay(self) -> None:
        """Repeat all operations on the recorded tensors."""
        for operation, args, kwargs, answer in self.calls:
            found = operation(*args, **kwargs)
            if answer is not None:
                for old, new in zip(tree_leaves(answer), tree_leaves(found), strict=True):
                    if isinstance(old, Tensor):
                        old.detach().copy_(new)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
