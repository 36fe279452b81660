"""The two parts of a run: the light part, which tables and figures read, and the heavy part (weights and images).

Design choices: a pull brings only the light part of a run; the heavy part follows when a stage reads it. A folder that
intentionally lacks its heavy part contains a `.dvcignore` file as a marker. Without this marker, a missing file counts
as damage. DVC does not record a folder with a `.dvcignore`, so a light run can never be committed as a complete one.
"""

from collections.abc import Iterable
from pathlib import Path

HEAVY_SUFFIXES = (".safetensors", ".npy")
DVC_IGNORE = ".dvcignore"
MARK_TEXT = """# Only the light part of this run lies here. `python -m dropnas pull --heavy FOLDER` brings the rest.
# This file keeps DVC from recording the part as the whole.
"""


def is_heavy(name: str) -> bool:
    """Whether a file of a run belongs to its heavy part."""
    return name.endswith(HEAVY_SUFFIXES)


def stage_of(folder: str) -> str:
    """The stage of a run, from its folder relative to the store's root."""
    parent, stage, *_ = folder.split("/")
    return "data" if parent == "data" else stage


def is_light(folder: Path) -> bool:
    """Whether a run's folder intentionally lacks its heavy part."""
    return (folder / DVC_IGNORE).is_file()


def omitted_files(folder: Path, names: Iterable[str]) -> set[str]:
    """The files in a run's manifest that are intentionally missing."""
    return {name for name in names if is_heavy(name) and not (folder / name).exists()} if is_light(folder) else set()
