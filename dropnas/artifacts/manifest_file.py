"""manifest.json: the truth about a finished run."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ManifestFile(JsonFile):
    """All that went into a run, its `id` among it, and the sha256 of every file by its path in the folder."""

    FILE: ClassVar[str] = MANIFEST

    run: dict[str, Any]
    files: dict[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.run.get("id"), str):
            raise ValueError("is no manifest of a run")
