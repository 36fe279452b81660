# One rule for each stage: search, retrain, transfer, clusters, prepare, genotype, select, variant, correlation, counts,
# table, figure. A job is a batch of runs of the frozen plan; its name has the data set, method and seeds. Its only
# output is a marker. The runs themselves are in the store, where Snakemake owns nothing.
#
# Trainings are jobs of the cluster. Everything else is short and runs with the workflow, which may be the only machine
# with network access. The wildcard `stage` has one value in each rule; the functions of `common.smk` find the job by
# it.
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
        shell:  # `exec`, because an intermediate shell would die of a scheduler's signal
            f"exec bash {LOGGED} {{log:q}} {{output:q}} {{threads}} {{params.processes}} {{params.arguments:q}}"
