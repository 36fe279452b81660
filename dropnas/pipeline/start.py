"""Starts the workflow: freezes the plan of a parameter file, then becomes Snakemake on the frozen copy."""

import os
import shutil
import sys
from pathlib import Path

from dropnas.errors import DropnasError
from dropnas.pipeline.freeze import freeze


def start(parameters: Path, options: list[str], root: Path) -> None:
    """Replace this process by `snakemake` on the frozen plan; further options are Snakemake's.

    Raises:
        DropnasError: the parameters are wrong, or Snakemake is not installed.
    """
    if not shutil.which("snakemake", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])):
        raise DropnasError("Snakemake is not installed", remedy="make setup, or pip install 'dropnas[workflow]'")
    frozen = (root / freeze(parameters, root)).resolve()
    source = frozen / "source"
    if not any(option.startswith(("--profile", "--workflow-profile")) for option in options):
        options = ["--workflow-profile", str(source / "profiles" / "default"), *options]
    command = ["--snakefile", str(source / "Snakefile"), "--directory", str(root.resolve()), *options]
    print(f"plan {frozen.name}: {parameters}", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *command])
