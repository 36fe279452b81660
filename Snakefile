# The entry of the workflow. Design choices:
# - It works from a frozen copy of plan, parameters and code (plans/<id>/), never from the checkout: every job of a
#   cluster parses the Snakefile again, weeks later. Started in a checkout, it makes that copy and starts again there.
# - The graph is the plan's list of jobs, one rule each. It is static: no checkpoints, wildcards, groups or directories.
# - Existence of receipts decides what runs: every input is ancient, the profile compares no records.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.16.3")


report: "workflow/report/workflow.rst"


PLAN_FOLDER = Path(workflow.basedir).parent

if not (PLAN_FOLDER / "plan.json").is_file():

    include: "workflow/rules/freeze.smk"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/genotype.smk"
include: "workflow/rules/retrain.smk"
include: "workflow/rules/select.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/diagnostics.smk"
include: "workflow/rules/report.smk"


# The named targets table1 ... table6, figure1 ... figure5 and so on, and `paper`, which has all that is not only made on
# request (table1_peers ..., baselines) and is what plain `snakemake` makes.
for target, receipts in PLAN["targets"].items():

    rule:
        name:
            target
        default_target: target == "paper"
        input:
            ancient(receipts),
        localrule: True
