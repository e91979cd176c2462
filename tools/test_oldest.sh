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
# What has to do with them, one after the other: some look whether the process is as it was before.
failed=0
for part in tests/cli "tests/observe tests/maps tests/test_reference.py" tests/backends/processes tests/backends/clusters; do
    # shellcheck disable=SC2086  # several paths
    "$folder/bin/python" -m pytest -p no:cacheprovider "$@" $part || failed=1
done
exit $failed
