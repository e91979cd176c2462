#!/bin/sh
# Run a script of this folder with a Python of the given version, which is its first argument.
# Usage: run_with.sh VERSION SCRIPT [ARGUMENT]...
set -eu
here=$(dirname "$0") version=$1 script=$2
shift 2
root=${PARALLEL_PYTHONS:-$HOME/.cache/metainformant-pythons}/sid

if ! python=$(sh "$here/find_python.sh" "$version"); then
    echo "error: no Python $version starts here; as root on Debian: sh tools/pythons.sh $version" >&2
    exit 1
fi
case $python in
"$root"/*) exec sh "$here/run_in_root.sh" sh "$here/$script" "${python#"$root"}" "$@" ;;
*) exec sh "$here/$script" "$python" "$@" ;;
esac
