# What the tests need of Debian; scripts/install_servers.sh reads it.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
has pgbouncer || missing+=(pgbouncer)
