"""Draws the stages of a parameter file, with their number of runs, as a Mermaid graph: `python -m docs.stage_graph`.

The graph comes from the plan, as the runs do, so it shows what is run. `make docs` puts it into README.md.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from dropnas.config import read_parameters
from dropnas.pipeline.plan import Plan, make_plan

README = Path("README.md")
BEGIN, END = "<!-- stages: made by `make docs` -->\n", "<!-- end of stages -->\n"


def graph(plan: Plan) -> str:
    """The stages in the order of the plan, each with the stages that read its runs."""
    counts = Counter(run.stage for run in plan.runs.values())
    readers: dict[str, dict[str, None]] = defaultdict(dict)  # sets in order
    for run in plan.runs.values():
        for source in run.inputs:
            readers[source.stage][run.stage] = None
    nodes = {stage: f'{stage}["{stage} ({count})"]' for stage, count in counts.items()}
    edges = [f"    {nodes[stage]} --> {' & '.join(readers[stage])}" for stage in counts if readers[stage]]
    ends = "; ".join(nodes[stage] for stage in counts if not readers[stage])
    return "\n".join(["```mermaid", "flowchart LR", *edges, f"    {ends}", "```\n"])


def put(text: str, drawn: str) -> str:
    """The page with the graph between its two marks."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + drawn + END + rest.partition(END)[2]


if __name__ == "__main__":
    parameters = Path(sys.argv[1] if len(sys.argv) > 1 else "params/paper.yaml")
    README.write_text(put(README.read_text(), graph(make_plan(read_parameters(parameters)).by_default())))
