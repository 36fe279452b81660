"""architectures.json: the size of each published architecture, with one entry for each table."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile, plain


@dataclass(frozen=True)
class Counted:
    """The size of one published architecture in the evaluation network of one table."""

    architecture: str  # its id
    name: str
    table: str  # the table that contains it
    network: str  # the network of that table: `cifar10`, `cifar100` or `imagenet`
    printed: dict[str, Any]  # the numbers that the paper prints, as in published.yaml; `params_m` is in 10^6
    # number of weights without the auxiliary tower; the weights of squeeze-and-excitation are included only if
    # `squeeze_excitation` is true
    parameters: int
    as_released: float  # number of weights as counted by the authors' code: with the tower, in units of 2^20
    multiply_adds: int  # number of multiply-adds for one image, in the network without the auxiliary tower
    # whether the three counts include squeeze-and-excitation, as in the paper's own rows of Table 3
    squeeze_excitation: bool
    # number of weights of squeeze-and-excitation, whether or not they are included; 0 in the CIFAR networks
    excitation_parameters: int
    remark: str  # how and why `parameters` differs from the printed number; empty if they agree up to rounding

    def __post_init__(self) -> None:
        if min(self.parameters, self.multiply_adds) < 1:
            raise ValueError("parameters and multiply_adds are at least 1")


@dataclass(frozen=True)
class CountsFile(JsonFile):
    """The counts of all architectures and tables; the file is a list of `Counted` objects."""

    FILE: ClassVar[str] = "architectures.json"

    counts: tuple[Counted, ...]

    @classmethod
    def as_fields(cls, values: Any) -> dict[str, Any]:
        """Make the list the value of `counts`, the only field."""
        return {"counts": values}

    def values(self) -> Any:
        """The list."""
        return plain(self.counts)
