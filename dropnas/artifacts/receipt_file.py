"""run.json, the receipt of a finished run."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

RECEIPT = "run.json"


@dataclass(frozen=True)
class ReceiptFile(JsonFile):
    """The fields of a receipt that stages, tables and figures read. The store writes further fields."""

    __pydantic_config__: ClassVar[Any] = {**JsonFile.__pydantic_config__, "extra": "ignore"}
    FILE: ClassVar[str] = RECEIPT

    stage: str
    device: str  # model of the GPU or CPU
    seconds: float  # total computing time, including all interrupted attempts
    inputs: tuple[str, ...]  # folder names of the input runs
    config: dict[str, Any] = field(default_factory=dict)  # the configuration of its stage

    def __post_init__(self) -> None:
        if not self.stage or not self.device:
            raise ValueError("stage or device is empty")
