"""Memory or disk that does not suffice, told in one line.

Design: torch, the allocators and the file writers each have their own exception for it; here they become the one kind
of error that is shown to a person. Everything else passes unchanged: a mistake in the program keeps its traceback.
Torch's exceptions are RuntimeErrors, known by their text, so that stages without torch need not import it.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from dropnas.errors import DropnasError

NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|os error (28|122)\b")


@contextmanager
def told(where: object = "") -> Iterator[None]:
    """Turn exhausted memory or disk inside the context into a DropnasError that names `where`."""
    try:
        yield
    except MemoryError as error:
        raise _memory(where) from error
    except (RuntimeError, OSError) as error:
        if _is_full(error):
            raise DropnasError("the disk is full", where=_place(error, where), remedy="free some space") from error
        if (isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))) or _is_errno(error, errno.ENOMEM):
            raise _memory(where) from error
        raise
    except Exception as error:  # safetensors has an exception class of its own
        if NO_SPACE.search(str(error)):
            raise DropnasError("the disk is full", where=where, remedy="free some space") from error
        raise


def _memory(where: object) -> DropnasError:
    return DropnasError(
        "memory does not suffice", where=where, remedy="use a smaller batch_size, fewer channels, or another device"
    )


def _is_errno(error: Exception, *numbers: int) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def _is_full(error: Exception) -> bool:
    return _is_errno(error, errno.ENOSPC, errno.EDQUOT) or bool(NO_SPACE.search(str(error)))


def _place(error: Exception, where: object) -> object:
    return getattr(error, "filename", None) or where
