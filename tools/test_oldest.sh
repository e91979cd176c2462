#!/bin/sh
# Run the tests with the lowest versions of the dependencies that pyproject.toml allows.
# Usage: test_oldest.sh PYTHON FOLDER [PYTEST ARGUMENT]...
set -eu
python=$1 folder=$2
shift 2
here=$(dirname "$0")

sh "$here/make_venv.sh" "$python" "$folder"
install() { "$folder/bin/python" -m pip install --quiet --constraint "$folder/oldest.txt" "$@"; }
"$folder/bin/python" "$here/oldest.py" cli progress process dask ray >"$folder/oldest.txt"
cat "$folder/oldest.txt"
install --editable '.[cli,progress,process,dask,ray]'
install --group test

# What has to do with them, one after the other: some look whether the process is as it was before.
failed=0
run() { "$folder/bin/python" -m pytest -p no:cacheprovider "$@" || failed=1; }
run "$@" tests/cli
run "$@" tests/observe tests/maps tests/test_reference.py
run "$@" tests/backends/processes
run "$@" tests/backends/clusters
# What every kind of workers must do, for those that need one of them.
run "$@" tests/backends/test_*.py -k 'dask or ray or spawn'
exit $failed
