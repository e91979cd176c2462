#!/bin/sh
# Run commands, three at the same time: tests mostly wait, but must not wait for each other.
# Usage: together.sh FOLDER, with a line per command on standard input: NAME COMMAND...
# What each of them writes is kept in FOLDER, and shown once all have ended. Fails if one of them did.
set -eu
logs=$1
rm -rf "$logs"
mkdir -p "$logs"

# Not with &, since what a shell starts in the background ignores Ctrl-C, as would all that it starts.
xargs -P 3 -I '{}' sh -c '
    name=${2%% *}
    if sh -c "${2#* }" >"$1/$name" 2>&1; then touch "$1/$name.passed"; fi
' sh "$logs" '{}'

status=0
for log in "$logs"/*; do
    case $log in *.passed) continue ;; esac
    echo "== $(basename "$log")"
    cat "$log"
    [ -e "$log.passed" ] || status=1
done
exit $status
