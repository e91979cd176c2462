#!/bin/sh
# Test the built wheel with one Python and with all others that are found, a few at the same time:
# the tests mostly wait, but they must not wait for each other.
# Usage: test_wheels.sh PYTHON [VERSION]...
# A version that is not found is told, and is an error if it is listed in $REQUIRED.
set -eu
here=$(dirname "$0") logs=.cache/logs
rm -rf "$logs"
mkdir -p "$logs"

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
listen='import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("sh", ["sh", *sys.argv[1:]])'
first=$1
shift

run() { # NAME SCRIPT ARGUMENT...
    name=$1
    shift
    if "$first" -c "$listen" "$@" >"$logs/$name" 2>&1; then
        touch "$logs/$name.passed"
    fi
}

for version in ${REQUIRED-}; do
    if ! sh "$here/find_python.sh" "$version" >/dev/null; then
        echo "error: no Python $version starts here, and it is in REQUIRED" >&2
        exit 1
    fi
done

together=3 running=1
run wheel "$here/test_wheel.sh" "$first" .cache/wheel &
for version in "$@"; do
    if sh "$here/find_python.sh" "$version" >/dev/null; then
        [ "$running" -lt "$together" ] || { wait; running=0; }
        running=$((running + 1))
        run "python$version" "$here/run_with.sh" "$version" test_wheel.sh ".cache/wheel$version" &
    else
        echo "not tested: there is no Python $version here"
    fi
done
wait

status=0
for log in "$logs"/*; do
    case $log in *.passed) continue ;; esac
    echo "== $(basename "$log")"
    cat "$log"
    [ -e "$log.passed" ] || status=1
done
exit $status
