#!/bin/sh
# Run tests against the wheel that is installed in an environment made by make_test_venv.sh.
# Usage: test_wheel.sh PYTHON FOLDER [PYTEST ARGUMENT]...
set -eu
folder=$2
shift 2

"$folder/bin/python" - <<'END'
import metainformant
assert "site-packages" in metainformant.__file__, metainformant.__file__
END
exec "$folder/bin/python" -m pytest --quiet -p no:cacheprovider "$@"
