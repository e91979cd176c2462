#!/bin/sh
# Install the built wheel into a clean environment and run the tests against it.
# Usage: test_wheel.sh PYTHON FOLDER [TESTS]...
set -eu
python=$1 folder=$2
shift 2

sh "$(dirname "$0")/make_test_venv.sh" "$python" "$folder" "$(ls dist/*.whl)"
"$folder/bin/python" - <<'END'
import metainformant
assert "site-packages" in metainformant.__file__, metainformant.__file__
END
exec "$folder/bin/python" -m pytest --quiet -p no:cacheprovider "$@"
