"""Runs one piece of a benchmark; if it fails, the remaining pieces still run."""

import gc
import traceback
from collections.abc import Callable
from typing import Any

import torch

from benchmarks._results import FAILED, one_line


def attempted(work: Callable[..., Any], *given: Any) -> Any:
    """Return the result of a piece, or a one-line reason if it fails; the traceback goes to the log.

    The GPU memory of the piece is released. If the CUDA context is dead, all later pieces fail as well, each with a
    one-line reason.
    """
    try:
        return work(*given)
    except Exception as error:  # for any error, the next piece may still work
        traceback.print_exc()
        return {FAILED: one_line(error)}
    finally:
        forget()


def forget() -> None:
    """Release unused memory.

    Garbage is collected first, because the trained object and its recorded steps refer to each other.
    """
    gc.collect()
    if torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except RuntimeError:
            traceback.print_exc()  # the context is dead, as the piece has already reported
