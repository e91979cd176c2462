#!/bin/sh
# Install the browser of the tests in tests/browser, and its driver, where they are missing: as root on Debian.
set -eu
if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "install_browser: chromium and chromedriver are missing; install them by hand" >&2
  exit 1
fi
install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium chromium-driver
}
# The lists of packages may be missing or old.
install >/dev/null 2>&1 || { apt-get update >/dev/null; install >/dev/null; }
