"""Passes environment variables into an image that starts with an empty environment (`--cleanenv`).

Design choices: Apptainer passes on `APPTAINERENV_X` as `X`, and SingularityCE does so with `SINGULARITYENV_X`. If both
are installed, Snakemake uses Apptainer.
"""

import os
import shutil
from collections.abc import Mapping

PREFIXES = {"apptainer": "APPTAINERENV_", "singularity": "SINGULARITYENV_"}


def runtime() -> str:
    """The program with which Snakemake runs images on this node; empty if there is none."""
    return next((name for name in PREFIXES if shutil.which(name)), "")


def pass_on(values: Mapping[str, str]) -> None:
    """Set variables in all images that this process starts."""
    prefix = PREFIXES[runtime() or "apptainer"]
    os.environ.update({f"{prefix}{name}": value for name, value in values.items()})
