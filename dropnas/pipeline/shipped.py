"""Where the workflow lies: beside the package in a checkout, in it where it was installed (by setup.py)."""

from pathlib import Path

FOLDER = "shipped"
PACKAGE = Path(__file__).parents[1]


def shipped() -> Path:
    """The folder that holds Snakefile, workflow/, profiles/ and params/."""
    beside = PACKAGE.parent
    return beside if (beside / "Snakefile").is_file() else PACKAGE / FOLDER


def parameter_file(named: Path) -> Path:
    """A parameter file: where it is named, or the one of that name that came with the package."""
    own = shipped() / named
    return own if not named.exists() and own.is_file() else named
