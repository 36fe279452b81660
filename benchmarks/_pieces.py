"""A piece of a measurement that may fail without taking the pieces after it along."""

import gc
import traceback
from collections.abc import Callable
from typing import Any

import torch

from benchmarks._results import FAILED, one_line


def attempted(work: Callable[..., Any], *given: Any) -> Any:
    """What a piece measures, or why it failed, in a line; the traceback goes to the log.

    What a GPU held for it is given back. Where the context of a GPU is dead, all later pieces fail with a line, too.
    """
    try:
        return work(*given)
    except Exception as error:  # whatever it is, the next piece may work
        traceback.print_exc()
        return {FAILED: one_line(error)}
    finally:
        forget()


def forget() -> None:
    """Give back the memory of what is no longer used; a trainee and its programs know each other."""
    gc.collect()
    if torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except RuntimeError:
            traceback.print_exc()  # the context is dead, as the piece has said already
