"""architectures.json: what the published architectures cost, a count for each architecture and table."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile, plain


@dataclass(frozen=True)
class Counted:
    """One published architecture in the network of one table.

    Attributes:
        architecture, name: its id and what it is called.
        table, network: which table prints it, and the network of that table: `cifar10`, `cifar100` or `imagenet`.
        printed: the figures that the paper prints, as in published.yaml; `params_m` is in 10^6.
        parameters: auxiliary tower and squeeze-and-excitation left out, unless `squeeze_excitation`.
        as_released: as the release's logger counted: with the tower, in units of 2^20.
        multiply_adds: for one image, of what `parameters` counts.
        squeeze_excitation: whether the three counts are with it: in the paper's own rows of Table 3.
        excitation_parameters: how many it has, or would add; 0 in the CIFAR networks.
        remark: by how much the printed parameters differ, and why; empty where they agree to rounding.
    """

    architecture: str
    name: str
    table: str
    network: str
    printed: dict[str, Any]
    parameters: int
    as_released: float
    multiply_adds: int
    squeeze_excitation: bool
    excitation_parameters: int
    remark: str

    def __post_init__(self) -> None:
        if min(self.parameters, self.multiply_adds) < 1:
            raise ValueError("parameters and multiply_adds are at least 1")


@dataclass(frozen=True)
class CountsFile(JsonFile):
    """The counts of all architectures and tables; the file is a list of them."""

    FILE: ClassVar[str] = "architectures.json"

    counts: tuple[Counted, ...]

    @classmethod
    def as_fields(cls, values: Any) -> dict[str, Any]:
        """The whole list is the one field."""
        return {"counts": values}

    def values(self) -> Any:
        """The list itself."""
        return plain(self.counts)
