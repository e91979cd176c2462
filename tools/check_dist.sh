#!/bin/sh
# Build the sources and the wheel, check both, install each into a clean environment and run the demo.
# Usage: check_dist.sh PYTHON FOLDER, where PYTHON has what the dependency group `release` lists.
set -eu
python=$1 folder=$2
here=$(dirname "$0")

rm -rf "$folder"
"$python" -m build --outdir "$folder" . >/dev/null
"$python" -m twine check --strict "$folder"/*
"$python" -m check_wheel_contents "$folder"/*.whl

for package in "$folder"/*.whl "$folder"/*.tar.gz; do
    clean=$folder/clean
    sh "$here/make_venv.sh" "$python" "$clean"
    "$clean/bin/python" -m pip install --quiet "$package[cli]"
    "$clean/bin/python" -m pip check
    # Outside of the checkout, so that nothing of it is imported by chance; and with more time than the
    # demo gives, since this machine may be busy.
    root=$PWD
    status=0
    (cd "$folder" && "$root/$clean/bin/metainformant" map "$root/examples/demo.py:demo" \
        "$root"/examples/data/*.fa* --timeout 10 -o demo.tsv 2>summary.txt) || status=$?
    cat "$folder/summary.txt"
    # 1: some records failed, as they should.
    if [ $status != 1 ] || ! grep -q "97 records: 95 ok, 1 failed, 1 timed out" "$folder/summary.txt"; then
        echo "error: $package: the demo ended with status $status" >&2
        exit 1
    fi
    rm -rf "$clean" "$folder/demo.tsv" "$folder/summary.txt"
    echo "$(basename "$package"): installed and run"
done
