"""The names of the precisions; how torch is set to them is in `dropnas.training.precision`. No torch here."""

from typing import Literal

Precision = Literal["fp32", "tf32", "bf16"]
