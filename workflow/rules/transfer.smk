# Trainings on ImageNet (Section 4.2, last paragraph), on as many GPUs as machine.transfer_processes says.
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
        priority: job["priority"]
        threads: job["threads"]
        resources:
            **asked(job),
        params:
            specs=specs(job),
            processes=job["processes"],
        message:
            f"transfer {job['name']}"
        shell:
            command("transfer", "{params.processes}")
