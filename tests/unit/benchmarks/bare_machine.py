"""An environment like that of a bare machine: only torch, Triton, numpy, pytest and their dependencies."""

import re
import sys
import venv
from importlib import metadata
from pathlib import Path

THERE = ("torch", "triton", "numpy", "pytest")


def bare_python(folder: Path) -> Path:
    """Make an environment in a folder, with links to the packages of this one; return its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in needed_by(THERE):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder / "bin" / Path(sys.executable).name


def needed_by(names: tuple[str, ...]) -> set[str]:
    """The distributions with their dependencies, without extras."""
    found, open_ = set[str](), list(names)
    while open_:
        name = open_.pop().lower().replace("_", "-")
        if name in found or not _is_there(name):
            continue
        found.add(name)
        wanted = [each for each in metadata.requires(name) or () if "extra ==" not in each]
        open_ += [re.split(r"[^A-Za-z0-9_.-]", each, maxsplit=1)[0] for each in wanted]
    return found


def _is_there(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
