# One rule for each stage: search, retrain, transfer, clusters, prepare, genotype, select, variant, correlation, counts,
# table, figure. A job is a batch of runs of the frozen plan; its name has the data set, method and seeds. Its only
# output is a marker. The runs themselves are in the store, which Snakemake does not manage.
#
# Trainings are jobs of the cluster. Everything else is short and runs where Snakemake runs, perhaps the only machine
# with network access. The wildcard `stage` has one value in each rule; `common.smk` uses it to find a job in the plan.
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
        shell:  # `exec`, because the scheduler's signal would end an intermediate shell
            f"exec bash {LOGGED} {{log:q}} {{output:q}} {{threads}} {{params.processes}} {{params.arguments:q}}"
