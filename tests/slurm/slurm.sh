#!/usr/bin/env bash
# A real Slurm on this one machine, for the tests: slurm.sh install | start FOLDER | stop FOLDER (as root).
# FOLDER keeps its state. It pretends to 8 cores and 2 GPUs.
set -euo pipefail

LINKS=(slurm.conf gres.conf)

install() {
    for program in slurmctld slurmd munged squeue; do
        command -v "$program" >/dev/null && continue
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            slurmctld slurmd slurm-client munge
        return
    done
}

configure() {
    local host
    host=$(hostname -s)
    mkdir -p "$1/state" "$1/spool"
    for gpu in 0 1; do
        [ -e "$1/gpu$gpu" ] || mknod "$1/gpu$gpu" c 195 "$gpu" # Slurm refuses a plain file
    done
    echo "NodeName=$host Name=gpu Type=fake File=$1/gpu[0-1]" >"$1/gres.conf"
    cat >"$1/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
AuthType=auth/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=2,sched_min_interval=100000
ReturnToService=2
# 2 cores and 16 GB may say that they are more
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=20
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 State=UNKNOWN Gres=gpu:fake:2
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
END
}

start() {
    configure "$1"
    mkdir -p /etc/slurm
    for name in "${LINKS[@]}"; do
        # Jobs lose SLURM_CONF, so the configuration has to be at its usual place.
        [ ! -e "/etc/slurm/$name" ] || { echo "/etc/slurm/$name exists: not touched" >&2; exit 1; }
    done
    for name in "${LINKS[@]}"; do ln -sfn "$1/$name" "/etc/slurm/$name"; done
    command install -d -o munge -g munge /run/munge
    runuser -u munge -- munged --force --pid-file="/run/munge/test.pid"
    slurmctld -c
    slurmd -c
    for _ in $(seq 100); do
        if sinfo -h -o %T 2>/dev/null | grep -q idle; then return; fi
        sleep 0.2
    done
    echo "Slurm did not start:" >&2
    tail -n 20 "$1/slurmctld.log" "$1/slurmd.log" >&2
    exit 1
}

stop() {
    scancel --user=root 2>/dev/null || true
    for _ in $(seq 150); do # their processes would outlive the daemons
        if [ -z "$(squeue --noheader 2>/dev/null)" ]; then break; fi
        sleep 0.2
    done
    for pid in "$1/slurmd.pid" "$1/slurmctld.pid" /run/munge/test.pid; do
        if [ -s "$pid" ]; then
            kill "$(cat "$pid")" 2>/dev/null || true
            while kill -0 "$(cat "$pid" 2>/dev/null)" 2>/dev/null; do sleep 0.1; done
        fi
    done
    # Only our links: with them and no daemon, every call of snakemake waits 10 seconds.
    for name in "${LINKS[@]}"; do
        if [ "$(readlink "/etc/slurm/$name")" = "$1/$name" ]; then rm "/etc/slurm/$name"; fi
    done
}

"$@"
