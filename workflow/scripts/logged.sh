#!/usr/bin/env bash
# logged.sh LOG MARKER THREADS PROCESSES ATTEMPTS RESULT COMMAND...: runs the command, whose processes share the threads, with
# its output in LOG. If it succeeds, MARKER becomes a copy of RESULT; if it fails, the log's last lines and its place are
# shown.
# Snakemake removes a job's log before each attempt, so LOG is a link to the file ATTEMPTS beside it, which is named by the
# run's identity and holds all attempts at it, each under a line with its number and time.
#
# A scheduler sends its warning to every process of a job. This shell outlives it and waits for the command, which saves
# and ends with status 75; one that had nothing to save yet dies of the signal, which is the same. $DROPNAS_STOPPED is
# then written, so that the job comes back (workflow/rules/cluster.smk). By then the files of a container may be gone,
# since SIGTERM may have ended what serves them: so no program is needed for it.
set -u
trap : TERM USR1 INT HUP
log=$1 marker=$2 attempts=$5 result=$6
export OMP_NUM_THREADS=$(($3 / $4)) # a container is given nothing else that says so
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
    cp -- "$result" "$marker" 2>/dev/null || : >"$marker" # a figure may be here without its pictures
else
    lines=$(tail -n "+$begin" "$log" | tail -n 20 | sed 's/^/    /')
    printf 'ended with status %s; the last lines of attempt %s in %s:\n%s\n' "$status" "$attempt" "$log" "$lines" >&2
fi
exit "$status"
