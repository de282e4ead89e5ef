#!/usr/bin/env bash
# Installs the servers that the tests talk to, the tools that they need, and the packages that are named
# as arguments, where that takes no questions: as root on Debian or Ubuntu. Elsewhere it does nothing,
# and the tests say what they miss. The tests start their own instances, so the services of the packages
# are kept from starting.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
has() { PATH=$PATH:/usr/sbin command -v "$1" >/dev/null; }
for packages in choices/database/*/testing/packages.sh; do
  . "$packages"
done
for package in "$@"; do
  has "$package" || missing+=("$package")
done
has curl || missing+=(curl)  # the commands in docs/ use it
if [ ${#missing[@]} = 0 ] || [ "$(id -u)" != 0 ] || ! has apt-get; then
  exit
fi

echo "Installing ${missing[*]}"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
