#!/usr/bin/env bash
# logged.sh LOG COMMAND...: runs the command with its output in LOG; if it fails, shows the log's last lines and its place.
set -u
log=$1
shift
mkdir -p "$(dirname "$log")"
"$@" >>"$log" 2>&1
status=$?
if [ "$status" -ne 0 ]; then
    printf 'failed with status %s; the last lines of %s:\n%s\n' "$status" "$log" "$(tail -n 20 "$log" | sed 's/^/    /')" >&2
fi
exit "$status"
