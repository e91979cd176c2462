#!/bin/sh
# Test the built wheel with one Python and with all others that are found, at the same time.
# Usage: test_wheels.sh PYTHON [VERSION]...
set -eu
here=$(dirname "$0") logs=.cache/logs
rm -rf "$logs"
mkdir -p "$logs"

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
listen='import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("sh", ["sh", *sys.argv[1:]])'

run() { # NAME PYTHON FOLDER
  if "$2" -c "$listen" "$here/test_wheel.sh" "$2" "$3" >"$logs/$1" 2>&1; then
    touch "$logs/$1.passed"
  fi
}

run wheel "$1" .cache/wheel &
shift
for version in "$@"; do
  python=$(sh "$here/find_python.sh" "$version") || continue
  run "python$version" "$python" ".cache/python$version" &
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
