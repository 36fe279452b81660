"""Operations that the engine does not know, such as those of a user's package; it calls their modules unchanged.

Design choices: such a module updates its own buffers (running statistics), even if a mask drops its operation. The
buffers of dropped operations are therefore restored after the pass, without reading the mask on the host.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dropnas.errors import DropnasError
from dropnas.extension import is_reference
from dropnas.search.supernet import Supernet
from dropnas.space.operations import DilConv, FactorizedReduce, Identity, PoolNorm, SepConv, Zero

KNOWN = (SepConv, DilConv, FactorizedReduce, PoolNorm, Identity, Zero)


def is_opaque(name: str, module: nn.Module) -> bool:
    """Whether the engine does not know the operation of that name."""
    return is_reference(name) or not isinstance(module, KNOWN)


def called(modules: Sequence[nn.Module], maps: Tensor, stride: int, name: str) -> Tensor:
    """The outputs of one operation in K supernets: maps (B, H, W, K * C) to (B, H / stride, W / stride, K * C).

    Raises:
        DropnasError: the outputs do not have this shape.
    """
    kind = maps.device.type
    parts = maps.permute(0, 3, 1, 2).chunk(len(modules), dim=1)
    with torch.autocast(kind, dtype=maps.dtype, enabled=maps.dtype == torch.bfloat16):
        answers = [module(part.contiguous()) for module, part in zip(modules, parts, strict=True)]
    count, channels, *sides = parts[0].shape
    wanted = (count, channels, *(-(-side // stride) for side in sides))
    if answers[0].shape != wanted:
        raise DropnasError(
            f"gives maps {tuple(answers[0].shape)} for {tuple(parts[0].shape)} at stride {stride}",
            where=name,
            remedy=f"{wanted} is needed",
        )
    return torch.cat(answers, dim=1).permute(0, 2, 3, 1).to(maps.dtype).contiguous()


class UsersBuffers:
    """The buffers of all operations in K supernets that the engine does not know."""

    def __init__(self, supernets: Sequence[Supernet]) -> None:
        self._buffers = [
            (buffer, number, slot)
            for number, supernet in enumerate(supernets)
            for slot, (name, operation) in enumerate(supernet.operations())
            if is_opaque(name, operation)
            for buffer in operation.buffers()
        ]

    @contextmanager
    def restored(self, kept: Tensor | None, update: bool) -> Iterator[None]:
        """Restore, after a pass with masks (K, cells, edges, operations), the buffers of dropped operations.

        Without `update`, restore all buffers.
        """
        before = [buffer.clone() for buffer, _, _ in self._buffers]
        yield
        flat = None if kept is None else kept.flatten(1)
        for (buffer, number, slot), old in zip(self._buffers, before, strict=True):
            if not update:
                # without `data`, autograd would reject this change, although it never reads the buffer
                buffer.data.copy_(old)
            elif flat is not None:
                buffer.data.copy_(torch.where(flat[number, slot], buffer, old))
