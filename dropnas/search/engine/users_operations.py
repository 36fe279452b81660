"""Operations that the engine knows nothing of, such as those of a user's package: it calls their modules as they are.

Design choices: a module updates its buffers (running statistics) itself, also where a mask drops it and it is computed
in vain. So the buffers are put back afterwards where the mask says so, without asking the host what it says.
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
    """Whether the engine knows nothing of an operation of that name but its module."""
    return is_reference(name) or not isinstance(module, KNOWN)


def called(modules: Sequence[nn.Module], maps: Tensor, stride: int, name: str) -> Tensor:
    """What the same operation of K supernets gives for maps (B, H, W, K * C): (B, H / stride, W / stride, K * C).

    Raises:
        DropnasError: it gives maps of another shape.
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
    """The buffers of such operations in K supernets."""

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
        """Put back after a pass what dropped operations changed, or everything without `update`.

        Args:
            kept: bool (K, cells, edges, operations).
        """
        before = [buffer.clone() for buffer, _, _ in self._buffers]
        yield
        flat = None if kept is None else kept.flatten(1)
        for (buffer, number, slot), old in zip(self._buffers, before, strict=True):
            if not update:
                buffer.data.copy_(old)  # `data`: autograd has saved the buffer, though it does not look into it
            elif flat is not None:
                buffer.data.copy_(torch.where(flat[number, slot], buffer, old))
