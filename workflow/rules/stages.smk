# One rule for each stage of the paper: search, retrain, transfer, clusters, prepare, genotype, select, variant, correlation,
# counts, table, figure. A job is a batch of runs of the frozen plan, and its name says which: data set, method and seeds.
# Its only output is a marker; the runs themselves lie in the store, where Snakemake owns nothing.
#
# What trains is a job of the cluster; all else takes a moment and is made where the workflow runs, which alone may have
# the network. The wildcard `stage` has one value in each rule, by which the functions of `common.smk` find the job.
for stage, asked in PLAN["rules"].items():

    rule:
        name:
            stage
        input:
            inputs,
        output:
            marker(stage, asked["shown"]),
        log:
            f"{LOGS}/{{stage}}/{{job}}.log",
        wildcard_constraints:
            stage=stage,
        priority: of("priority")
        localrule: asked["local"]
        threads: asked["threads"]
        resources:
            **resources(asked["resources"]),
        params:
            processes=asked["processes"],
            arguments=arguments,
        message:
            "{wildcards.stage} {wildcards.job} "
            "(threads={threads} gpu={resources.gpu} mem_mb={resources.mem_mb} runtime={resources.runtime})"
        shell:  # `exec` leaves no shell between that would die of a scheduler's warning
            f"exec bash {LOGGED} {{log:q}} {{output:q}} {{threads}} {{params.processes}} {{params.arguments:q}}"
