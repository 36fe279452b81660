"""Names that several configurations share; what they mean to torch: `precision.py`, `initialisation.py`."""

from typing import Literal

Precision = Literal["fp32", "tf32", "bf16"]
NormWeight = Literal["ones", "uniform"]  # what the weights of batch norm start at
