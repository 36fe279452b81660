"""A piece of a measurement that may fail without taking the pieces after it along."""

import gc
import traceback
from collections.abc import Callable
from typing import Any

import torch

FAILED, LEFT_OUT = "failed", "left out"  # keys under which a piece says why nothing was measured in it
ONLY_GPU = {LEFT_OUT: "only a GPU runs the Triton kernels"}


def attempted(work: Callable[[], Any]) -> Any:
    """What a piece measures, or why it failed, in a line; the traceback goes to the log.

    What a GPU held for it is given back. Where the context of a GPU is dead, all later pieces fail with a line, too.
    """
    try:
        return work()
    except Exception as error:  # whatever it is, the next piece may work
        traceback.print_exc()
        return {FAILED: one_line(error)}
    finally:
        forget()


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def forget() -> None:
    """Give back the memory of what is no longer used; a trainee and its programs know each other."""
    gc.collect()
    if torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except RuntimeError:
            traceback.print_exc()  # the context is dead, as the piece has said already
