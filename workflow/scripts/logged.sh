#!/usr/bin/env bash
# logged.sh LOG MARKER THREADS PROCESSES ATTEMPTS RESULT COMMAND...: runs the command and writes its output to LOG.
# THREADS are divided among its PROCESSES. If it succeeds, RESULT is copied to MARKER; if it fails, the path of the log
# and its last lines are shown.
# Snakemake removes a job's log before each attempt. LOG is therefore a link to the file ATTEMPTS next to it, which is
# named after the run's identity and keeps the output of all attempts, each under a line with its number and time.
#
# A scheduler sends its stop signal to every process of a job. This shell survives it and waits for the command, which
# saves its state and ends with status 75. A command that has nothing to save yet is ended by the signal, which is
# treated like 75. In both cases $DROPNAS_STOPPED is written, so that the job is requeued (workflow/rules/cluster.smk).
# It is written without an external program, because SIGTERM may have ended the process that serves a container's files.
set -u
trap : TERM USR1 INT HUP
log=$1 marker=$2 attempts=$5 result=$6
export OMP_NUM_THREADS=$(($3 / $4)) # nothing else sets it inside a container
shift 6
mkdir -p "$(dirname "$log")" "$(dirname "${DROPNAS_STOPPED:-$log}")"
ln -sfn "$attempts" "$log"
attempt=$(($(grep -c '^=== attempt ' "$log" 2>/dev/null) + 1))
printf '=== attempt %s, %s ===\n' "$attempt" "$(date -u +%FT%TZ)" >>"$log"
begin=$(wc -l <"$log")
"$@" >>"$log" 2>&1
status=$?
for name in TERM USR1 INT HUP; do
    if [ "$status" -eq $((128 + $(kill -l "$name"))) ]; then status=75; fi
done
if [ "$status" -eq 75 ] && [ -n "${DROPNAS_STOPPED:-}" ]; then : >"$DROPNAS_STOPPED"; fi
if [ "$status" -eq 0 ]; then
    cp -- "$result" "$marker" 2>/dev/null || : >"$marker" # a pulled figure may lack its images
else
    lines=$(tail -n "+$begin" "$log" | tail -n 20 | sed 's/^/    /')
    printf 'ended with status %s; the last lines of attempt %s in %s:\n%s\n' "$status" "$attempt" "$log" "$lines" >&2
fi
exit "$status"
