#!/bin/sh
# Install the programs that some tests need, where they are missing, as root on Debian: the browser of those in
# tests/browser and its driver, and Open MPI, for those of mpi4py's executor.
set -eu
missing=
command -v chromium >/dev/null && command -v chromedriver >/dev/null || missing="chromium chromium-driver"
command -v mpiexec >/dev/null || missing="$missing openmpi-bin"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "install_programs: missing, install them by hand: $missing" >&2
  exit 1
fi
install() {
  # Each word is a package.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}
# The lists of packages may be missing or old.
install >/dev/null 2>&1 || { apt-get update >/dev/null; install >/dev/null; }
