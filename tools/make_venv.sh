#!/bin/sh
# Make a virtual environment with a pip that knows dependency groups.
# Usage: make_venv.sh PYTHON FOLDER
set -eu
python=$1 folder=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $python is $("$python" -V); Python 3.11 or later is needed: make PYTHON=python3.12 ..." >&2
    exit 1
fi
# Debian and Ubuntu keep a part of venv in a package of its own.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        apt-get install -qq -y "python$version-venv" >/dev/null
    else
        echo "error: this Python has no ensurepip; install it: sudo apt install python$version-venv" >&2
        exit 1
    fi
fi
rm -rf "$folder"
"$python" -m venv "$folder"
# Windows calls it Scripts.
[ -e "$folder/bin" ] || ln -s Scripts "$folder/bin"
"$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
