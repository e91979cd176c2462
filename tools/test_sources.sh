#!/bin/sh
# Run tests against the sources of this checkout, in an environment that is kept until pyproject.toml
# changes.
# Usage: test_sources.sh PYTHON FOLDER [PYTEST ARGUMENT]...
set -eu
python=$1 folder=$2
shift 2

if ! cmp -s pyproject.toml "$folder/made_for.toml"; then
    sh "$(dirname "$0")/make_test_venv.sh" "$python" "$folder" .
    cp pyproject.toml "$folder/made_for.toml"
fi
exec "$folder/bin/python" -m pytest -p no:cacheprovider "$@"
