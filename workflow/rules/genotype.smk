# Genotypes: from alphas (Section 2.1), drawn at random, published, or with another operation on an edge (Section 5.5).
# A moment each, without torch.
for job in jobs("derive", "sample", "peer", "variant"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/{job['stage']}/{job['name']}.log",
        priority: job["priority"]
        localrule: True
        threads: job["threads"]
        resources:
            **job["resources"],
        params:
            specs=specs(job),
            verb=job["stage"],
        message:
            f"{job['stage']} {job['name']}"
        shell:
            command("{params.verb}")
