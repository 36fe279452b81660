# Retrainings on CIFAR (Section 4.2, "Architecture Evaluation").
for job in jobs("retrain"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/retrain/{job['name']}.log",
        priority: job["priority"]
        threads: job["threads"]
        resources:
            **asked(job),
        params:
            specs=specs(job),
        message:
            f"retrain {job['name']}"
        shell:
            command("retrain")
