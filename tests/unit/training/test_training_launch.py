"""The launcher of several processes reports wrong arguments once, before they start."""

import subprocess
import sys
from pathlib import Path


def test_a_missing_spec_is_reported_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dropnas", "transfer", "--processes", "2", "nothing.json"]
    found = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert found.returncode == 1 and not list(tmp_path.iterdir())
    assert found.stderr.splitlines() == ["error: nothing.json: no such file"]
