"""The two parts of a run: the light one, which tables and figures read, and the heavy one, weights and images.

Design choices: a run is pulled lightly first, its heavy part only for a stage that reads it. A folder that lacks its
heavy part on purpose has a mark; without it, a missing file counts as damage. The mark is a `.dvcignore`: DVC refuses
to record a folder that contains one, so a light run can never be committed as a complete one.
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
    """The stage of a run by its folder, relative to the store's root."""
    parent, stage, *_ = folder.split("/")
    return "data" if parent == "data" else stage


def is_light(folder: Path) -> bool:
    """Whether a run's folder lacks heavy files on purpose."""
    return (folder / MARK).is_file()


def left_out(folder: Path, names: Iterable[str]) -> set[str]:
    """Of the files that a run's manifest names, those that are not there on purpose."""
    return {name for name in names if is_heavy(name) and not (folder / name).exists()} if is_light(folder) else set()
