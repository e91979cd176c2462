#!/bin/sh
# Run tests against the sources of this checkout, in an environment that is kept.
# Usage: test_sources.sh PYTHON FOLDER [PYTEST ARGUMENT]...
set -eu
python=$1 folder=$2
shift 2

if [ ! -e "$folder/stamp" ] || [ pyproject.toml -nt "$folder/stamp" ]; then
    sh "$(dirname "$0")/make_test_venv.sh" "$python" "$folder" .
    touch "$folder/stamp"
fi
exec "$folder/bin/python" -m pytest -p no:cacheprovider "$@"
