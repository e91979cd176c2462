#!/bin/sh
# Say which Pythons are not found, and so are not tested.
# Usage: check_pythons.sh VERSION...
set -eu
here=$(dirname "$0")

for version in "$@"; do
    if ! sh "$here/find_python.sh" "$version" >/dev/null; then
        echo "not tested: there is no Python $version here" >&2
    fi
done
