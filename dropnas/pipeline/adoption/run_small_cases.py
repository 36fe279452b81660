"""A separate script that runs a stage on small cases. PYTHONPATH determines whether it uses the old or the new code.

It is started as `python run_small_cases.py CASES` and never imported. It uses only what every version of the code has:
the stages, their configurations, and the workspace. Before each case, it checks that the expected code is in use.
"""

import json
import sys
from pathlib import Path

from dropnas.parsing import parse
from dropnas.pipeline.stages import STAGES, code_of, entry
from dropnas.workspace import Workspace


def main(cases: Path) -> None:
    """Compute each case into its folder; exit with an error message if the code is not the expected one."""
    content = json.loads(cases.read_text(encoding="utf-8"))
    stage = content["stage"]
    for case in content["cases"]:
        config = parse(STAGES[stage].config, case["config"], "the probe")
        if content["code"] and code_of(stage, config) != content["code"]:
            sys.exit("the code in PYTHONPATH is not the code that made the runs")
        out = Path(case["out"])
        out.mkdir(parents=True)
        entry(stage)(config, [*map(Path, case["inputs"])], out, Workspace(out.parent / "scratch", "probe"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
