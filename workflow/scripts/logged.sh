#!/usr/bin/env bash
# logged.sh LOG COMMAND...: runs the command with its output in LOG; if it fails, shows the log's last lines and its place.
# Snakemake removes a job's log before each attempt, so LOG is a link to a file that holds all attempts.
#
# A scheduler sends its warning to every process of a job. This shell outlives it and waits for the command, which saves
# and ends with status 75; one that had nothing to save yet dies of the signal, which is the same. $DROPNAS_STOPPED is
# then written, so that the job comes back (workflow/rules/cluster.smk). By then the files of a container may be gone,
# since SIGTERM may have ended what serves them: so no program is needed for it.
set -u
trap : TERM USR1
log=$1
shift
mkdir -p "$(dirname "$log")" "$(dirname "${DROPNAS_STOPPED:-$log}")"
ln -sfn "$(basename "$log" .log).attempts" "$log"
"$@" >>"$log" 2>&1
status=$?
case $status in 75 | $((128 + $(kill -l TERM))) | $((128 + $(kill -l USR1)))) status=75 ;; esac
if [ "$status" -eq 75 ] && [ -n "${DROPNAS_STOPPED:-}" ]; then : >"$DROPNAS_STOPPED"; fi
if [ "$status" -ne 0 ]; then
    printf 'ended with status %s; the last lines of %s:\n%s\n' "$status" "$log" "$(tail -n 20 "$log" | sed 's/^/    /')" >&2
fi
exit "$status"
