# The paper's tables and figures, the peers, and what stands behind Figure 5 and the counts: a moment each.
VERBS = {
    "table": "tables",
    "peers": "peers",
    "figure": "figures",
    "correlation": "correlation",
    "architectures": "architectures",
}
for job in jobs(*VERBS):

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
            verb=VERBS[job["stage"]],
        message:
            f"{job['stage']} {job['name']}"
        shell:
            command("{params.verb}")
