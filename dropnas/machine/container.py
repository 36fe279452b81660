"""How a value of the environment gets into an image that starts with an empty one (`--cleanenv`).

Design: Apptainer and SingularityCE each read a prefix of their own. Snakemake takes Apptainer where both are there.
"""

import os
import shutil
from collections.abc import Mapping

PREFIXES = {"apptainer": "APPTAINERENV_", "singularity": "SINGULARITYENV_"}


def runtime() -> str:
    """The program that Snakemake starts images with on this node; empty where there is none."""
    return next((name for name in PREFIXES if shutil.which(name)), "")


def pass_on(values: Mapping[str, str]) -> None:
    """Have variables set in images that are started from here."""
    prefix = PREFIXES[runtime() or "apptainer"]
    os.environ.update({f"{prefix}{name}": value for name, value in values.items()})
