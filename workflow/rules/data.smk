# Datasets: each is prepared once, on the machine that runs the workflow (only it may have the network).
for job in jobs("data"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/data/{job['name']}.log",
        priority: job["priority"]
        localrule: True
        threads: job["threads"]
        resources:
            **job["resources"],
        params:
            specs=specs(job),
        message:
            f"data {job['name']}"
        shell:
            command("data")
