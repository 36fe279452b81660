"""DropNAS, reproduced. `dropnas.load(RUN)` gives a finished run's network."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Import `load` on first use, because importing the package must not import torch."""
    if name != "load":
        raise AttributeError(f"module 'dropnas' has no attribute {name!r}")
    from dropnas.evaluate.loading import load

    return load
