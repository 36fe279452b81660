"""The parameter files of a sequential plan's starts: one for each look and one for the last start, written by `run`."""

from pathlib import Path

from dropnas.config import read_parameters


def look_file(profile: str, look: int, root: Path) -> Path:
    """The parameter file of a look's start."""
    return root / "plans" / f"looks-{profile}" / f"look-{look}.yaml"


def starts(file: Path, root: Path) -> list[Path]:
    """The parameter files of a file's starts so far, in their order; the file itself if there are none.

    Raises a DropnasError if it is not a parameter file.
    """
    settings = read_parameters(file)
    if not settings.looks or settings.look:
        return [file]
    numbers = range(1, len(settings.looks) + 2)
    found = [one for look in numbers if (one := look_file(settings.profile, look, root)).is_file()]
    return found or [file]


def current(file: Path, root: Path) -> Path:
    """The newest of these files."""
    return starts(file, root)[-1]
