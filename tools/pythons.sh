#!/bin/sh
# Make the Pythons of the given versions that this machine lacks, where that needs nothing but root
# and a mirror of Debian. What can't be made is told in one line and left out.
# Usage: pythons.sh VERSION...
#
# They stay outside any checkout, in $PARALLEL_PYTHONS; remove that folder to get newer ones. A stamp is
# written last, so what was interrupted is made again.
set -eu
here=$(dirname "$0")
made=${PARALLEL_PYTHONS:-$HOME/.cache/metainformant-pythons}

missing=
for version in "$@"; do
    sh "$here/find_python.sh" "$version" >/dev/null || missing="$missing $version"
done
[ -n "$missing" ] || exit 0

skip() {
    echo "pythons: not here:$missing ($1)"
    exit 0
}
[ "$(id -u)" = 0 ] || skip "only root on Debian can make them"
command -v apt-get >/dev/null || skip "they can only be made on Debian"
unshare --mount true 2>/dev/null || skip "mount namespaces are not allowed here"

# One run at a time on this machine: whoever waited finds them made.
mkdir -p "$made"
exec 9>"$made/lock"
flock 9

echo "pythons: making$missing in $made; this takes some minutes, once"
log=$made/prepare.log
{
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
            debootstrap debian-archive-keyring dpkg-dev build-essential xz-utils \
            libssl-dev libffi-dev zlib1g-dev libbz2-dev liblzma-dev libsqlite3-dev
} >"$log" 2>&1 || skip "see $log"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || skip "apt knows no mirror of Debian"

for version in $missing; do
    sh "$here/find_python.sh" "$version" >/dev/null && continue
    log=$made/$version.log
    if sh "$here/make_python.sh" "$version" "$made" "$mirror" >"$log" 2>&1; then
        touch "$made/$version.stamp"
    else
        echo "pythons: not here: $version (see $log)"
    fi
done
