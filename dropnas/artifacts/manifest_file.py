"""manifest.json: the authoritative record of a finished run."""

from dataclasses import dataclass
from typing import Any, ClassVar

from dropnas.artifacts.json_file import JsonFile

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ManifestFile(JsonFile):
    """The content of a manifest."""

    FILE: ClassVar[str] = MANIFEST

    run: dict[str, Any]  # everything that determined the run, including its `id`
    files: dict[str, str]  # the sha256 of each file; the keys are paths in the folder

    def __post_init__(self) -> None:
        if not isinstance(self.run.get("id"), str):
            raise ValueError("is not the manifest of a run")
