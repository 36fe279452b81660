"""The oldest Snakemake that pyproject.toml allows, and the newest, each in its own environment (pytest -m slow)."""

import re
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.foreign.conftest import PROJECT, Foreign

OLDEST = re.search(r'"snakemake>=([\d.]+)"', (PROJECT / "pyproject.toml").read_text())
MICRO = PROJECT / "tests" / "workflow" / "micro.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(
    "version", [f"snakemake=={OLDEST[1]}" if OLDEST else "", "snakemake"], ids=["oldest", "newest"]
)
@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_the_plan_is_read_by(machine: Foreign, version: str, profile: str) -> None:
    environment = machine.folder / "environment"
    assert machine.run(sys.executable, "-m", "venv", str(environment)).returncode == 0
    python = str(environment / "bin" / "python")
    done = machine.run(python, "-m", "pip", "install", "--quiet", version, "snakemake-executor-plugin-slurm")
    if done.returncode:
        pytest.skip(f"cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    packages = next((environment / "lib").glob("python*")) / "site-packages"
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # everything else is from this environment
    for name in ("sbatch", "sacct", "squeue", "scontrol", "sinfo"):
        machine.stub(name, "")
    chosen = ("--workflow-profile", str(PROJECT / "profiles" / profile))
    done = machine.run(python, "-m", "dropnas", "run", str(MICRO), "--dry-run", *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    found = Path(machine.run(python, "-c", "import snakemake; print(snakemake.__file__)").stdout)
    assert found.is_relative_to(environment)
