# One rule for each stage of the paper. A job is a batch of runs of the frozen plan, and its name says which: data set,
# method and seeds. Its only output is a marker; the runs themselves lie in the store, where Snakemake owns nothing.


# What trains is a job of the cluster; all else takes a moment and is made where the workflow runs, which alone may have
# the network. The wildcard `stage` has one value in each rule, by which the functions of `common.smk` find the job.
rule search:
    input:
        inputs,
    output:
        f"{DONE}/{{stage}}/{{job}}",
    log:
        f"{LOGS}/{{stage}}/{{job}}.log",
    wildcard_constraints:
        stage="search",
    priority: of("priority")
    threads: of("threads")
    resources:
        **RESOURCES,
    params:
        arguments=arguments,
    message:
        "{wildcards.stage} {wildcards.job} "
        "(threads={threads} gpu={resources.gpu} mem_mb={resources.mem_mb} runtime={resources.runtime})"
    shell:  # `exec` leaves no shell between that would die of a scheduler's warning
        f"exec bash {LOGGED} {{log:q}} {{output:q}} {{threads}} {{params.arguments:q}}"


use rule search as retrain with:
    wildcard_constraints:
        stage="retrain",


use rule search as transfer with:
    wildcard_constraints:
        stage="transfer",


use rule search as clusters with:
    wildcard_constraints:
        stage="clusters",


use rule search as prepare with:
    wildcard_constraints:
        stage="prepare",
    localrule: True


use rule prepare as genotype with:
    wildcard_constraints:
        stage="genotype",
    localrule: True


use rule prepare as select with:
    wildcard_constraints:
        stage="select",
    localrule: True


use rule prepare as variant with:
    wildcard_constraints:
        stage="variant",
    localrule: True


use rule prepare as correlation with:
    wildcard_constraints:
        stage="correlation",
    localrule: True


use rule prepare as counts with:
    wildcard_constraints:
        stage="counts",
    localrule: True


use rule prepare as table with:
    output:
        report(
            f"{DONE}/{{stage}}/{{job}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{job}"},
        ),
    wildcard_constraints:
        stage="table",
    localrule: True


use rule prepare as figure with:
    output:
        report(
            f"{DONE}/{{stage}}/{{job}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{job}"},
        ),
    wildcard_constraints:
        stage="figure",
    localrule: True
