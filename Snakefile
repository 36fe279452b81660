# The entry of the workflow. Design choices:
# - The workflow runs from a frozen copy of plan, parameters and code (plans/<id>/), never from the checkout, because
#   each cluster job parses the Snakefile again, weeks later. In a checkout, it makes this copy and starts again from
#   there.
# - Each rule is a stage; each job is one of the plan's jobs. The graph is static: no checkpoints, groups or
#   directories.
# - The existence of markers decides what runs: every input is ancient, and the profile compares no records.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.17")


report: "workflow/report/workflow.rst"


PLAN_FOLDER = Path(workflow.basedir).parent

if not (PLAN_FOLDER / "plan.json").is_file():

    include: "workflow/rules/freeze.smk"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/stages.smk"


# The named targets table1 ... table6, figure1 ... figure5 and so on, and `paper`, the default target, which has
# everything except the targets on request (table1_published ..., baselines).
for target, markers in PLAN["targets"].items():

    rule:
        name:
            target
        default_target: target == "paper"
        input:
            [ancient(f"{FROZEN}/{marker}") for marker in markers],
        localrule: True
