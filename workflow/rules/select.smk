# The choice of the best of several seeds: a moment, without torch.
for job in jobs("select"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/select/{job['name']}.log",
        priority: job["priority"]
        localrule: True
        threads: job["threads"]
        resources:
            **job["resources"],
        params:
            specs=specs(job),
        message:
            f"select {job['name']}"
        shell:
            command("select")
