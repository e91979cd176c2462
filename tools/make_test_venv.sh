#!/bin/sh
# Make a virtual environment with the package and what its tests need.
# Usage: make_test_venv.sh PYTHON FOLDER PACKAGE
# PACKAGE is a wheel, or . for the sources of this checkout, which stay editable.
set -eu
python=$1 folder=$2 package=$3

sh "$(dirname "$0")/make_venv.sh" "$python" "$folder"
install() { "$folder/bin/python" -m pip install --quiet --no-compile "$@"; }

# Older versions that have a wheel will do: no compiler is needed.
case $package in
.) install --only-binary backports.zstd --editable '.[cli]' ;;
*) install --only-binary backports.zstd "$package[cli]" ;;
esac
install --only-binary :all: --group test
