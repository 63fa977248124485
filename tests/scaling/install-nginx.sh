#!/bin/sh
# Installs nginx where it is missing: Debian's package, without starting its service.
set -eu
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] && exit 0
command -v apt-get >/dev/null || {
    echo "test-scaling needs nginx, and there is no apt-get to install it with: install nginx." >&2
    exit 1
}
root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "test-scaling needs nginx: install it, or run this as root or where there is sudo." >&2
        exit 1
    }
    root=sudo
fi
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive # in runlevel 1 packages start no services
$root apt-get update -qq
$root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends nginx-light
