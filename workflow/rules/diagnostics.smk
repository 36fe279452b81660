# The diagnostics behind Figures 1 and 4: a trained supernet is looked into, where searches run.
for job in jobs("clusters"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/clusters/{job['name']}.log",
        priority: job["priority"]
        threads: job["threads"]
        resources:
            **asked(job),
        params:
            specs=specs(job),
        message:
            f"clusters {job['name']}"
        shell:
            command("clusters")
