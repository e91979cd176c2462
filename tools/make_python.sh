#!/bin/sh
# Make one Python: of Debian sid in a root of its own, or, with a t at the end of the version, without
# the GIL from a source package of Debian, which has no such binary package.
# Usage: make_python.sh VERSION FOLDER MIRROR
set -eu
version=$1 made=$2 mirror=$3
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive

install_in_root() {
    root=$made/sid
    if [ ! -e "$root.stamp" ]; then
        rm -rf "$root"
        # In a mount namespace of its own, it leaves nothing mounted when it is killed.
        unshare --mount debootstrap --variant=minbase --include=ca-certificates,procps \
            sid "$root" "$mirror"
        touch "$root.stamp"
    fi
    sh "$here/run_in_root.sh" sh -ec '
        apt-get update -o Acquire::Check-Valid-Until=false
        apt-get install --yes --no-install-recommends "$1"
        apt-get clean' sh "python$version-venv"
}

# Runs apt-get or apt-cache on Debian's source packages instead of this machine's packages.
with_sources() {
    command=$1
    shift
    "$command" -o Dir::Etc::SourceList="$made/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$made/lists" -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= "$@"
}

# Fetches and unpacks the newest source package that the mirror has: it lists some that it lacks.
fetch_source() {
    package=python${version%t}
    mkdir -p "$made/lists/partial"
    for suite in trixie sid; do
        echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done >"$made/sources.list"
    with_sources apt-get update
    for found in $(with_sources apt-cache showsrc "$package" | sed -n 's/^Version: //p' | sort -rV); do
        if with_sources apt-get source --download-only "$package=$found"; then
            tar --extract --strip-components=1 --file "${package}_${found%-*}".orig.tar.xz
            return
        fi
    done
    echo "error: the mirror has no source package of $package" >&2
    return 1
}

build_without_gil() {
    prefix=$made/$version build=$made/build
    rm -rf "$prefix" "$build"
    mkdir -p "$build"
    cd "$build"
    fetch_source
    # With -O2 it takes a third longer to make, and is a tenth quicker.
    ./configure OPT="-O1 -DNDEBUG" --prefix="$prefix" --disable-gil --disable-test-modules \
        --without-static-libpython --with-ensurepip=no
    make -j"$(nproc)"
    make install
    rm -rf "$build" "$made/lists" "$made/sources.list" "$prefix"/lib/python*/config-*
}

case $version in
*t) build_without_gil ;;
*) install_in_root ;;
esac
