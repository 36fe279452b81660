"""manifest.json: the authoritative record of a finished run."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ManifestFile(JsonFile):
    """Everything that determined a run, including its `id`, and the sha256 of every file by its path in the folder."""

    FILE: ClassVar[str] = MANIFEST

    run: dict[str, Any]
    files: dict[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.run.get("id"), str):
            raise ValueError("is not the manifest of a run")
