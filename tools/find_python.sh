#!/bin/sh
# Print a Python of the given version that starts: from pyenv, the PATH, or what pythons.sh made.
# A t at the end of the version means the build without the GIL. Fails if there is none.
# Usage: find_python.sh 3.13
version=$1
made=${PARALLEL_PYTHONS:-$HOME/.cache/metainformant-pythons}
check='import ensurepip, sys, sysconfig
gil = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
sys.exit("%d.%d%s" % (*sys.version_info[:2], gil) != sys.argv[1])'

for python in "$HOME"/.pyenv/versions/"${version%t}"*/bin/python "$(command -v "python$version")"; do
    if [ -x "$python" ] && "$python" -c "$check" "$version" 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
[ -e "$made/$version.stamp" ] || exit 1
case $version in
*t) echo "$made/$version/bin/python$version" ;;
*) echo "$made/sid/usr/bin/python$version" ;;
esac
