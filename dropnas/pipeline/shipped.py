"""The location of the workflow: next to the package in a checkout, inside the package if it is installed (setup.py)."""

from pathlib import Path

SHIPPED_FOLDER = "shipped"
PACKAGE_FOLDER = Path(__file__).parents[1]


def shipped() -> Path:
    """The folder that contains Snakefile, workflow/, profiles/ and params/."""
    checkout = PACKAGE_FOLDER.parent
    return checkout if (checkout / "Snakefile").is_file() else PACKAGE_FOLDER / SHIPPED_FOLDER


def parameter_file(named: Path) -> Path:
    """The named parameter file or, if it does not exist, the package's file of that name."""
    own = shipped() / named
    return own if not named.exists() and own.is_file() else named
