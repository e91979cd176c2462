#!/bin/sh
# Run a command in the Debian root that pythons.sh made, in this folder, which is mounted there.
# Usage: run_in_root.sh COMMAND [ARGUMENT]...
#
# All mounts are made in a mount namespace of the command's own, so the kernel removes them when the
# last process of the command ends, however it ends; runs at the same time do not see one another's.
set -eu
root=${PARALLEL_PYTHONS:-$HOME/.cache/metainformant-pythons}/sid

if [ -z "${RUN_IN_ROOT-}" ]; then
    if [ ! -e "$root.stamp" ]; then
        echo "error: there is no Debian root at $root; make it as root: sh tools/pythons.sh" >&2
        exit 1
    fi
    RUN_IN_ROOT=1 exec unshare --mount sh "$0" "$@"
fi
unset RUN_IN_ROOT

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"

# Its own network configuration, certificates and pip configuration are replaced by the machine's.
for path in /etc/resolv.conf /etc/hosts /etc/ssl/certs /etc/pip.conf /etc/xdg/pip \
    "$HOME/.config/pip" "$HOME/.cache/pip" "${PIP_CONFIG_FILE-}" "$PWD"; do
    if [ -d "$path" ]; then
        mkdir -p "$root$path"
    elif [ -f "$path" ]; then
        mkdir -p "$(dirname "$root$path")"
        [ -e "$root$path" ] || touch "$root$path"
    else
        continue
    fi
    mount --bind "$path" "$root$path"
done

exec chroot "$root" sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@"
