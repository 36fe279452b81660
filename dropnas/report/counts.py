"""What the published architectures cost: one count for each architecture and table, as architectures.json holds it.

Design choices: the stage that counts and the tables that show it share this form and nothing else; a table trusts
nothing that it reads, so a missing count or one of a wrong type ends it with a line that names the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import FiniteFloat, PositiveInt, TypeAdapter, ValidationError

from dropnas.errors import DropnasError

COUNTS, RECEIPT = "architectures.json", "run.json"
STAGE = "architectures"
Content = TypeVar("Content")


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

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    architecture: str
    name: str
    table: str
    network: str
    printed: dict[str, Any]
    parameters: PositiveInt
    as_released: FiniteFloat
    multiply_adds: PositiveInt
    squeeze_excitation: bool
    excitation_parameters: int
    remark: str


@dataclass(frozen=True)
class _Receipt:
    """What is read of a receipt."""

    stage: str


def read_counts(folder: Path) -> dict[tuple[str, str], Counted]:
    """The counts of an `architectures` run, by architecture and table.

    Raises:
        DropnasError: a run of another stage, a file that is missing or damaged, or something in it that is no count.
    """
    if _read(folder / RECEIPT, _Receipt).stage != STAGE:
        raise DropnasError(f"is no receipt of an {STAGE} run", where=folder / RECEIPT)
    return {(one.architecture, one.table): one for one in _read(folder / COUNTS, list[Counted])}


def _read(file: Path, content: type[Content]) -> Content:
    try:
        return TypeAdapter(content).validate_json(file.read_bytes())
    except OSError as error:
        raise DropnasError(f"cannot be read ({error.strerror})", where=file) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DropnasError(f"{place}: {first['msg']}" if place else first["msg"], where=file) from error
