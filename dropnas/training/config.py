"""Types that several configurations share; `precision.py` and `initialisation.py` implement them with torch."""

from typing import Literal

Precision = Literal["fp32", "tf32", "bf16"]
NormWeight = Literal["ones", "uniform"]  # initial weights of batch norm
