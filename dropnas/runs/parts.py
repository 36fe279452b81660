"""The two parts of a run: the light part, which tables and figures read, and the heavy part (weights and images).

Design choices: a pull brings only the light part of a run; the heavy part follows when a stage reads it. A folder that
lacks its heavy part on purpose has a mark. Without the mark, a missing file counts as damage. The mark is a
`.dvcignore`: DVC does not record a folder that contains one, so a light run can never be committed as a complete one.
"""

from collections.abc import Iterable
from pathlib import Path

HEAVY_SUFFIXES = (".safetensors", ".npy")
MARK = ".dvcignore"
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
    """Whether a run's folder lacks heavy files on purpose."""
    return (folder / MARK).is_file()


def left_out(folder: Path, names: Iterable[str]) -> set[str]:
    """The files of a run's manifest that are missing on purpose."""
    return {name for name in names if is_heavy(name) and not (folder / name).exists()} if is_light(folder) else set()
