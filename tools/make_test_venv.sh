#!/bin/sh
# Make a virtual environment with the package and what its tests need.
# Usage: make_test_venv.sh PYTHON FOLDER PACKAGE
# PACKAGE is a wheel, or . for the sources of this checkout, which stay editable.
set -eu
python=$1 folder=$2 package=$3

sh "$(dirname "$0")/make_venv.sh" "$python" "$folder"
install() { "$folder/bin/python" -m pip install --quiet "$@"; }

extras='[cli]'
case $("$python" -c 'import sys, sysconfig
print("%d.%d%s" % (*sys.version_info[:2], "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""))') in
3.13t)
    # dnaio's xopen asks for isal and zlib-ng, which have no wheels for it, and works without them.
    # dnaio itself has none either, but who could build this Python can build it.
    extras=
    install 'click>=8.1' 'rich>=13.6'
    install --no-deps --only-binary backports.zstd 'dnaio>=1.2' xopen backports.zstd
    ;;
3.15) extras= ;; # dnaio has no wheel for it yet, and needs a compiler: tests/cli are left out
esac
case $package in
.) install --editable ".$extras" ;;
*) install "$package$extras" ;;
esac
# An older version that has a wheel will do: no compiler is needed.
install --only-binary :all: --group test
