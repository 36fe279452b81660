# Searches (Section 4.2, "Architecture Search"): seeds of one experiment share a process.
for job in jobs("search"):

    rule:
        name:
            job["name"]
        input:
            ancient(job["inputs"]),
        output:
            job["receipts"],
        log:
            f"{LOGS}/search/{job['name']}.log",
        priority: job["priority"]
        threads: job["threads"]
        resources:
            **asked(job),
        params:
            specs=specs(job),
        message:
            f"search {job['name']}"
        shell:
            command("search")
