"""Names that several stages' configurations share. What they mean to torch is in `precision.py`, `initialisation.py`."""

from typing import Literal

Precision = Literal["fp32", "tf32", "bf16"]
NormWeight = Literal["ones", "uniform"]  # what the weights of batch norm start at
