#!/usr/bin/env bash
# logged.sh LOG MARKER THREADS PROCESSES ATTEMPTS RESULT COMMAND...: runs the command, whose processes share the threads, and
# writes its output to LOG. If it succeeds, MARKER becomes a copy of RESULT; if it fails, the log's path and last lines are
# shown.
# Snakemake removes a job's log before each attempt. LOG is therefore a link to the file ATTEMPTS next to it, which is named
# after the run's identity and has all attempts, each under a line with its number and time.
#
# A scheduler sends its stop signal to every process of a job. This shell survives it and waits for the command, which saves
# and ends with status 75. A command that has nothing to save yet dies of the signal, which counts as the same. Then
# $DROPNAS_STOPPED is written, so that the job is requeued (workflow/rules/cluster.smk). By that time, SIGTERM may have ended
# the process that serves a container's files, so no external program is used for it.
set -u
trap : TERM USR1 INT HUP
log=$1 marker=$2 attempts=$5 result=$6
export OMP_NUM_THREADS=$(($3 / $4)) # inside a container, nothing else sets it
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
