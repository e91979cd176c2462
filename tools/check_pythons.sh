#!/bin/sh
# Say which Pythons are not found, and so are not tested. Fails if one of them is in $REQUIRED.
# Usage: check_pythons.sh VERSION...
set -eu
here=$(dirname "$0")

for version in ${REQUIRED-}; do
    if ! sh "$here/find_python.sh" "$version" >/dev/null; then
        echo "error: no Python $version starts here, and it is in REQUIRED ($REQUIRED)." \
            "Install it, or let it be made, as root on Debian: sh tools/pythons.sh $version" >&2
        exit 1
    fi
done
for version in "$@"; do
    if ! sh "$here/find_python.sh" "$version" >/dev/null; then
        echo "not tested: there is no Python $version here" >&2
    fi
done
