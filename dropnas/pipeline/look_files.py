"""The parameter files of a sequential plan's starts, one for each look and a last one, as `run` has written them."""

from pathlib import Path

from dropnas.config import read_parameters


def look_file(profile: str, look: int, root: Path) -> Path:
    """The file with the parameters of a look's start."""
    return root / "plans" / f"looks-{profile}" / f"look-{look}.yaml"


def starts(file: Path, root: Path) -> list[Path]:
    """The parameter files that a file leads to: those of its looks so far, in their order, or itself.

    Raises:
        DropnasError: it is no parameter file.
    """
    settings = read_parameters(file)
    if not settings.looks or settings.look:
        return [file]
    numbers = range(1, len(settings.looks) + 2)
    found = [one for look in numbers if (one := look_file(settings.profile, look, root)).is_file()]
    return found or [file]


def current(file: Path, root: Path) -> Path:
    """The newest of these."""
    return starts(file, root)[-1]
