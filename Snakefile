# The entry of the workflow. Design choices:
# - It works from a frozen copy of plan, parameters and code (plans/<id>/), never from the checkout: every job of a
#   cluster parses the Snakefile again, weeks later. Started in a checkout, it makes that copy and starts again there.
# - A rule is a stage, a job one of the plan's jobs. The graph is static: no checkpoints, groups or directories.
# - Existence of markers decides what runs: every input is ancient, the profile compares no records.
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


# The named targets table1 ... table6, figure1 ... figure5 and so on, and `paper`, which has all that is not only made on
# request (table1_published ..., baselines) and is what plain `snakemake` makes.
for target, markers in PLAN["targets"].items():

    rule:
        name:
            target
        default_target: target == "paper"
        input:
            [ancient(f"{FROZEN}/{marker}") for marker in markers],
        localrule: True
