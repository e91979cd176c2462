#!/bin/sh
# Check that no type of the wheel is left to be inferred: its type completeness is 100 %.
# Usage: check_types.sh BIN FOLDER WHEEL
# BIN is where python and pyright are, with what the package may use; FOLDER is made anew.
set -eu
bin=$(cd "$1" && pwd) folder=$2 wheel=$3

rm -rf "$folder"
"$bin/python" -m pip install --quiet --no-deps --target "$folder/wheel" "$wheel"
mkdir "$folder/empty" # no sources and no configuration there
wheel=$(cd "$folder/wheel" && pwd)
cd "$folder/empty"
if ! PATH=$bin:$PATH PYTHONPATH=$wheel \
    "$bin/pyright" --verifytypes metainformant --ignoreexternal >../report.txt; then
    # A class of which a part is unknown makes others so; what has to be annotated comes first.
    grep -A 1 'missing type annotation\|Type unknown\|Ambiguous base' ../report.txt || tail -n 40 ../report.txt
    grep 'completeness score' ../report.txt
    exit 1
fi
grep -q "Package directory: \"$wheel/metainformant\"" ../report.txt
