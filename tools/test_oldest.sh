#!/bin/sh
# Run the tests with the lowest versions of the dependencies that pyproject.toml allows.
# Usage: test_oldest.sh PYTHON FOLDER [PYTEST ARGUMENT]...
set -eu
python=$1 folder=$2
shift 2
here=$(dirname "$0")

sh "$here/make_venv.sh" "$python" "$folder"
install() { "$folder/bin/python" -m pip install --quiet --constraint "$folder/oldest.txt" "$@"; }
"$folder/bin/python" "$here/oldest.py" cli progress process dask >"$folder/oldest.txt"
cat "$folder/oldest.txt"
install --editable '.[cli,progress,process,dask]'
install --group test
# What has to do with them: the command, the bar, pickles of functions, clusters.
exec "$folder/bin/python" -m pytest -p no:cacheprovider "$@" \
    tests/cli tests/observe tests/maps tests/backends/processes tests/backends/clusters tests/test_reference.py
