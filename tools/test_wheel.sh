#!/bin/sh
# Install the built wheel into a clean environment and run the tests against it.
# Usage: test_wheel.sh PYTHON FOLDER
set -eu
python=$1 folder=$2
here=$(dirname "$0")

sh "$here/make_venv.sh" "$python" "$folder"
wheel=$(ls dist/*.whl)
"$folder/bin/python" -m pip install --quiet "$wheel[cli]" --group test
"$folder/bin/python" - <<'END'
import metainformant
assert "site-packages" in metainformant.__file__, metainformant.__file__
END
"$folder/bin/python" -m pytest --quiet -p no:cacheprovider
