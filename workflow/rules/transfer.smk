# Trainings on ImageNet (Section 4.2, last paragraph).
for job in jobs("transfer"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/transfer/{job['name']}.log",
        threads: job["threads"]
        resources:
            **job["resources"],
        params:
            specs=specs(job),
        message:
            f"transfer {job['name']}"
        shell:
            command("transfer")
