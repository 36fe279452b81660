"""The starts and runs that the user names by parameter files or run folders.

For a sequential plan, `run` writes a parameter file for each look and one for the last start.
"""

from collections.abc import Sequence
from pathlib import Path

from dropnas.config import read_parameters
from dropnas.errors import DropnasError
from dropnas.pipeline.plan import make_plan
from dropnas.sharing.shared_run import FOLDER_WITH_ID


def look_file(profile: str, look: int, root: Path) -> Path:
    """The parameter file of a look's start."""
    return root / "plans" / f"looks-{profile}" / f"look-{look}.yaml"


def starts(file: Path, root: Path) -> list[Path]:
    """The parameter files that `run` has written for a sequential plan, in order; if there are none, the file itself.

    Raises a DropnasError if it is not a parameter file.
    """
    settings = read_parameters(file)
    if not settings.looks or settings.look:
        return [file]
    numbers = range(1, len(settings.looks) + 2)
    found = [one for look in numbers if (one := look_file(settings.profile, look, root)).is_file()]
    return found or [file]


def current(file: Path, root: Path) -> Path:
    """The parameter file of the newest start."""
    return starts(file, root)[-1]


def wanted(words: Sequence[str], root: Path) -> set[str] | None:
    """The folders of the named runs, relative to the store; None means all.

    Raises a DropnasError if a word is neither a parameter file nor the folder of a run.
    """
    if not words:
        return None
    return set().union(*(_meant(word, root) for word in words))


def _meant(word: str, root: Path) -> set[str]:
    folder = _folder(word, root)
    if folder:
        return {folder}
    if not Path(word).is_file():
        raise DropnasError("is neither a parameter file nor the folder of a run", where=word)
    plans = (make_plan(read_parameters(file)) for file in starts(Path(word), root))
    return {str(run.folder) for plan in plans for run in plan.runs.values()}


def _folder(word: str, root: Path) -> str:
    """The folder of a run relative to the store; empty if the word is not a run's folder."""
    path = Path(word.rstrip("/"))
    if path.is_absolute() and path.is_relative_to(root.absolute()):
        path = path.relative_to(root.absolute())
    return path.as_posix() if FOLDER_WITH_ID.fullmatch(path.as_posix()) else ""
