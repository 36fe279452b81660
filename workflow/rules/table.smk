# The paper's tables: a moment each, without torch.
for job in jobs("table"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/table/{job['name']}.log",
        localrule: True
        threads: job["threads"]
        resources:
            **job["resources"],
        params:
            specs=specs(job),
        message:
            f"table {job['name']}"
        shell:
            command("tables")
