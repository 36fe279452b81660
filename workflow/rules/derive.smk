# Genotypes from alphas (Section 2.1): a moment each, without torch.
for job in jobs("derive"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/derive/{job['name']}.log",
        localrule: True
        threads: job["threads"]
        resources:
            **job["resources"],
        params:
            specs=specs(job),
        message:
            f"derive {job['name']}"
        shell:
            command("derive")
