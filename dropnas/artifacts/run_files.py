"""What the store writes of every run: manifest.json, the truth about it, and run.json, its receipt."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

MANIFEST, RECEIPT = "manifest.json", "run.json"


@dataclass(frozen=True)
class ManifestFile(JsonFile):
    """All that went into a run, its `id` among it, and the sha256 of every file by its path in the folder."""

    FILE: ClassVar[str] = MANIFEST

    run: dict[str, Any]
    files: dict[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.run.get("id"), str):
            raise ValueError("is no manifest of a run")


@dataclass(frozen=True)
class ReceiptFile(JsonFile):
    """What stages, tables and figures read of a receipt; the store writes it from the manifest, with more in it.

    Attributes:
        stage: which stage made the run.
        device: model of the GPU or CPU.
        seconds: how long it took, all interrupted parts together.
        inputs: the names of the folders that it read.
        config: the configuration of its stage.
    """

    FILE: ClassVar[str] = RECEIPT
    __pydantic_config__: ClassVar[Any] = {**JsonFile.__pydantic_config__, "extra": "ignore"}

    stage: str
    device: str
    seconds: float
    inputs: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
