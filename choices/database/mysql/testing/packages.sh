# What the tests need of Debian; scripts/install_servers.sh reads it.
has mariadbd || missing+=(mariadb-server)
[ -e /usr/lib/galera/libgalera_smm.so ] || missing+=(galera-4)
has rsync || missing+=(rsync)
