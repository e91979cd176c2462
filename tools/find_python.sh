#!/bin/sh
# Print a Python of the given version that starts, from the PATH or from pyenv; fail if there is none.
# Usage: find_python.sh 3.13
for python in "$HOME"/.pyenv/versions/"$1"*/bin/python "$(command -v "python$1")"; do
    if [ -x "$python" ] && "$python" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
exit 1
