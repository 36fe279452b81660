#!/usr/bin/env bash
# Starts a real SLURM cluster on this one host: slurmctld, slurmdbd with MariaDB, and NODES slurmd that each have GPUS
# GPUs. Needs root and Debian's packages (up.sh --install fetches them); ends with status 77 and the reason without.
#
# Everything, also MariaDB and munge, is an instance of its own below CLUSTER (/var/lib/dropnas-cluster); /etc/slurm gets a
# link to its slurm.conf, and a host that has a SLURM of its own is refused. A GPU is a device file that exists
# everywhere: scheduling and accounting are real, no GPU is needed. Since a run that was given a GPU does not train on the
# CPU, a task's prolog takes away what says so.
# Account lab; partitions gpu, short (MINUTES a job at most), lost (PreemptMode=CANCEL) and
# first (preempts the others). A second start empties
# the queue.
set -euo pipefail
CLUSTER=${CLUSTER:-/var/lib/dropnas-cluster} NODES=${NODES:-2} GPUS=${GPUS:-2} CPUS=${CPUS:-4} MINUTES=${MINUTES:-1}
ACCOUNTING=${ACCOUNTING:-on}  # off: a site without slurmdbd, whose jobs only squeue knows
PACKAGES=(slurm-wlm slurmdbd munge mariadb-server)
PROGRAMS=(slurmctld slurmd slurmdbd munged mariadbd mariadb-install-db)
DEVICES=(/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty)
here=$(dirname "$(readlink -f "$0")")

skip() { echo "no cluster: $*" >&2; exit 77; }

require() {
    [ "$(id -u)" = 0 ] || skip "root is needed to start slurmd"
    if [ "${1:-}" = --install ]; then
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}"; } >/dev/null
    fi
    for program in "${PROGRAMS[@]}"; do
        command -v "$program" >/dev/null || skip "no $program; try: $here/up.sh --install (${PACKAGES[*]})"
    done
    if [ -e /etc/slurm/slurm.conf ] && [ "$(readlink /etc/slurm/slurm.conf)" != "$CLUSTER/slurm.conf" ]; then
        skip "/etc/slurm/slurm.conf is that of another cluster"
    fi
}

until_true() { for _ in $(seq 60); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; echo "waited in vain for: $*" >&2; exit 1; }

accounting() {
    [ "$ACCOUNTING" = on ] || { echo AccountingStorageType=accounting_storage/none; return; }
    printf 'AccountingStorage%s\n' Type=accounting_storage/slurmdbd Host=localhost Port=16819 \
        Pass="$CLUSTER/munge/socket" TRES=gres/gpu
}

write_configuration() {
    local host devices
    host=$(hostname -s) devices=$(IFS=,; echo "${DEVICES[*]:0:$GPUS}")
    cat >"$CLUSTER/slurm.conf" <<CONF
ClusterName=dropnas
SlurmctldHost=$host
SlurmctldPort=16817
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/munge/socket
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/spool/%n
SlurmctldPidFile=$CLUSTER/slurmctld.pid
SlurmdPidFile=$CLUSTER/slurmd-%n.pid
SlurmctldLogFile=$CLUSTER/log/slurmctld.log
SlurmdLogFile=$CLUSTER/log/slurmd-%n.log
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_min_interval=200000
JobAcctGatherType=jobacct_gather/none
$(accounting)
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=20
KillWait=30
MinJobAge=300
SlurmdParameters=config_overrides
NodeName=n[1-$NODES] NodeHostname=$host Port=[17101-$((17100 + NODES))] CPUs=$CPUS RealMemory=16000 Gres=gpu:lab:$GPUS
TaskProlog=$CLUSTER/hide_gpus.sh
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=short Nodes=ALL MaxTime=$MINUTES PriorityTier=1
PartitionName=lost Nodes=ALL MaxTime=INFINITE PriorityTier=1 PreemptMode=CANCEL
PartitionName=first Nodes=ALL MaxTime=INFINITE PriorityTier=2
CONF
    echo "NodeName=n[1-$NODES] Name=gpu Type=lab File=$devices" >"$CLUSTER/gres.conf"
    {
        printf '#!/bin/sh\necho export CUDA_VISIBLE_DEVICES=NoDevFiles\n'
        printf 'echo unset %s\n' SLURM_JOB_GPUS SLURM_STEP_GPUS SLURM_GPUS
    } >"$CLUSTER/hide_gpus.sh"
    chmod 755 "$CLUSTER/hide_gpus.sh"
    cat >"$CLUSTER/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/munge/socket
DbdHost=localhost
DbdPort=16819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageUser=root
StorageLoc=slurm_acct_db
LogFile=$CLUSTER/log/slurmdbd.log
PidFile=$CLUSTER/slurmdbd.pid
CONF
    chmod 600 "$CLUSTER/slurmdbd.conf"
}

start_munge() {
    mkdir -m 755 "$CLUSTER/munge"
    head -c 1024 /dev/urandom >"$CLUSTER/munge/key"
    chmod 600 "$CLUSTER/munge/key"
    munged --key-file "$CLUSTER/munge/key" --socket "$CLUSTER/munge/socket" --pid-file "$CLUSTER/munged.pid" \
        --log-file "$CLUSTER/munge/log" --seed-file "$CLUSTER/munge/seed"
}

start_database() {
    mariadb-install-db --no-defaults --user=root --datadir="$CLUSTER/database" --auth-root-authentication-method=socket \
        >"$CLUSTER/log/database.log" 2>&1
    mariadbd --no-defaults --user=root --datadir="$CLUSTER/database" --socket="$MYSQL_UNIX_PORT" --skip-networking \
        --pid-file="$CLUSTER/mariadbd.pid" --innodb-lock-wait-timeout=900 >>"$CLUSTER/log/database.log" 2>&1 &
    until_true mariadb-admin --no-defaults --socket="$MYSQL_UNIX_PORT" ping
}

start_accounting() {
    start_database
    slurmdbd
    until_true sacctmgr -n list cluster
    sacctmgr -i add cluster dropnas >/dev/null
    sacctmgr -i add account lab >/dev/null
    sacctmgr -i add user "$(id -un)" account=lab >/dev/null
}

start_slurm() {
    slurmctld
    for node in $(seq "$NODES"); do slurmd -N "n$node"; done
    until_true eval '[ "$(sinfo -h -p gpu -t idle -o %D)" = '"$NODES ]"
}

require "$@"
"$here/down.sh"
rm -rf "$CLUSTER"
mkdir -p "$CLUSTER"/{state,spool,log}
ln -s "$CLUSTER/slurm.conf" /etc/slurm/slurm.conf
export SLURM_CONF=$CLUSTER/slurm.conf MYSQL_UNIX_PORT=$CLUSTER/database.sock
write_configuration
start_munge
[ "$ACCOUNTING" != on ] || start_accounting
start_slurm
sinfo --partition gpu --format '%N %T %G, %c CPUs'
