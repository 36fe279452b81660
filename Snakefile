# The entry of the workflow. Design choices:
# - The workflow runs from a frozen copy of plan, parameters and code (plans/<id>/), because each cluster job parses the
#   Snakefile again, perhaps weeks later. Started in a checkout, it makes this copy and starts again from there.
# - Each rule is a stage, and its jobs are those of the plan. The graph is static, without Snakemake's checkpoints,
#   groups and directory outputs.
# - Only the existence of markers decides what runs: all inputs are `ancient`, and profiles/default turns off
#   Snakemake's other triggers.
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


# The targets table1, figure1 and so on, and the default target `paper`, which has everything that is not built only on
# request (such as table1_published and baselines).
for target, markers in PLAN["targets"].items():

    rule:
        name:
            target
        default_target: target == "paper"
        input:
            [ancient(f"{FROZEN}/{marker}") for marker in markers],
        localrule: True
