#!/bin/sh
# Test the built wheel with all Pythons that are found.
# Usage: test_wheels.sh PYTHON [VERSION]...
# PYTHON is that of the sources, where all tests have run: with it, a part of them says whether the
# wheel is complete. A version that is not found is told, and is an error if it is in $REQUIRED.
set -eu
here=$(dirname "$0") first=$1
shift

for version in ${REQUIRED-}; do
    if ! sh "$here/find_python.sh" "$version" >/dev/null; then
        echo "error: no Python $version starts here, and it is in REQUIRED" >&2
        exit 1
    fi
done

{
    for version in "$@"; do
        if sh "$here/find_python.sh" "$version" >/dev/null; then
            echo "python$version sh $here/run_with.sh $version test_wheel.sh .cache/wheel$version"
        else
            echo "not tested: there is no Python $version here" >&2
        fi
    done
    echo "wheel sh $here/test_wheel.sh $first .cache/wheel --hypothesis-profile quick \
        tests/cli tests/maps tests/test_*.py"
} | sh "$here/together.sh" .cache/logs/wheel
