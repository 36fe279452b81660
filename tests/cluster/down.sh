#!/usr/bin/env bash
# Stops what up.sh started, by the daemons' own pid files: the nodes first, so that no job outlives them.
CLUSTER=${CLUSTER:-/var/lib/dropnas-cluster}
export SLURM_CONF=$CLUSTER/slurm.conf

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

stop() {
    local file
    for file in "$@"; do alive "$file" && kill "$(cat "$file")"; done
    for _ in $(seq 40); do
        for file in "$@"; do alive "$file" && { sleep 0.5; continue 2; }; done
        return
    done
}

[ -d "$CLUSTER" ] || exit 0
alive "$CLUSTER/slurmctld.pid" && { timeout 20 scancel --user=root; sleep 1; }
for daemon in slurmd-n* slurmctld slurmdbd mariadbd munged; do stop "$CLUSTER"/$daemon.pid; done
[ "$(readlink /etc/slurm/slurm.conf)" = "$CLUSTER/slurm.conf" ] && rm /etc/slurm/slurm.conf
exit 0
