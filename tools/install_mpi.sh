#!/bin/sh
# Install Open MPI, which the tests of mpi4py's executor need, where no MPI is: as root on Debian.
set -eu
if command -v mpiexec >/dev/null; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "install_mpi: mpiexec is missing; install an MPI by hand" >&2
  exit 1
fi
install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openmpi-bin
}
# The lists of packages may be missing or old.
install >/dev/null 2>&1 || { apt-get update >/dev/null; install >/dev/null; }
