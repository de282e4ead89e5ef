#!/usr/bin/env bash
# Fetches MySQL, which Debian has in its suite sid only, into build/mysql, where `mysqld` then starts
# it. Nothing of the system is changed: apt is given directories of its own, and the packages are only
# unpacked, with the C library and the loader that they are made for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../../.."
place=$PWD/build/mysql

# The mirror is the one that this machine has its own packages from.
mirror=$(cat /etc/apt/sources.list.d/* /etc/apt/sources.list 2>/dev/null |
  sed -nE 's#^(URIs:|deb) +(\[[^]]*\] +)?(https?://[^ ]+/debian)/?( .*)?$#\3#p' | sed -n 1p || true)
if [ -z "$mirror" ]; then
  echo "No mirror of Debian's is in this machine's apt sources, so MySQL cannot be fetched." >&2
  exit 1
fi

rm -rf "$place"
mkdir -p "$place"/{lists,archives,root}
touch "$place/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$place/sources.list"
options=(
  -qq
  -o "Dir::Etc::SourceList=$place/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$place/lists" -o "Dir::State::status=$place/status"
  -o "Dir::Cache=$place" -o "Dir::Cache::archives=$place/archives"
  -o APT::Install-Recommends=false -o APT::Sandbox::User=
)
apt-get "${options[@]}" update
apt-get "${options[@]}" install --download-only --yes mysql-server-core
for package in "$place"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$place/root"
done

root=$place/root
loader=$(find "$root/usr" -type f -name 'ld-linux*.so.*' | sed -n 1p)
libraries=$(dirname "$(find "$root/usr" -name libc.so.6 | sed -n 1p)")
cat >"$place/mysqld" <<SCRIPT
#!/bin/sh
# --no-defaults, where it is given, has to be the first.
exec "$loader" --library-path "$libraries" "$root/usr/sbin/mysqld" "\$@" \\
  --basedir="$root/usr" --plugin-dir="$root/usr/lib/mysql/plugin" --lc-messages-dir="$root/usr/share/mysql"
SCRIPT
chmod +x "$place/mysqld"
rm -rf "$place"/{lists,archives,sources.list,status,lock*,*.bin} "$root"/usr/share/{doc,perl*,locale,man}
"$place/mysqld" --version
