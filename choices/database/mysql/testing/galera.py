"""Runs a Galera cluster of three nodes on this machine, for the tests of the MySQL flavor.

It needs MariaDB's server, the library of Galera, and rsync, by which a node that joins is sent
the data of another.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import pymysql

from choices.database.mysql.testing.database import DATABASE

SIZE = 3
# Not as root: rsync, which takes a node's data in, would go on as nobody.
ACCOUNT = [] if os.geteuid() else ["--user=mysql"]
_LIBRARIES = ("lib/galera", "lib64/galera-4", "lib64/galera", "lib/galera-4")


def find_library() -> Path | None:
    """Find the library of Galera."""
    places = (Path("/usr") / place / "libgalera_smm.so" for place in _LIBRARIES)
    return next(filter(Path.exists, places), None)


class Node:
    """A server of the cluster.

    Args:
        directory: For its data and its log.
        options: Those that it is always started with.
        port: Where it is to be reached.
    """

    def __init__(self, directory: Path, options: list[str], port: int) -> None:
        self.url = f"mysql://root@127.0.0.1:{port}/"
        self.place = f"127.0.0.1:{port}"
        self.data = directory / "data"
        self.data.mkdir(parents=True)
        if ACCOUNT:
            for path in (directory.parent, directory, self.data):
                shutil.chown(path, "mysql")
        self._log = directory / "log"
        self._options = [
            *("--no-defaults", f"--datadir={self.data}", f"--socket={directory / 'socket'}"),
            # A server that starts removes what others have in the usual directory.
            f"--tmpdir={directory}",
            *("--bind-address=127.0.0.1", f"--port={port}", *options),
            *ACCOUNT,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it; it joins the others in its own time."""
        with self._log.open("ab") as log:
            # A session of its own: what it starts to send and take data can be ended with it.
            self._process = subprocess.Popen(
                ["mariadbd", *self._options, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_synced(self) -> None:
        """Wait until it has what the others have."""
        assert self._process is not None
        while self._process.poll() is None:
            try:
                rows = DATABASE.query(self.url, "SHOW STATUS LIKE 'wsrep_local_state_comment'")
            except pymysql.err.OperationalError:
                rows = []
            if rows and rows[0][1] == "Synced":
                return
            time.sleep(0.1)
        log = self._log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"A node of the cluster does not run:\n{log[-10_000:]}")

    def isolate(self, is_isolated: bool = True) -> None:
        """Cut it off from the others, as a broken network does, or let it return."""
        DATABASE.query(
            self.url, f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={is_isolated:d}'"
        )

    def kill(self) -> None:
        """End it as a crash does, with all that it has started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Cluster:
    """Three nodes that run; a context manager, which removes them at its end."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="chat_store_"))
        ports = free_ports(4 * SIZE)
        members = [f"127.0.0.1:{port}" for port in ports[:SIZE]]
        self.nodes = [
            Node(
                self._directory / str(number),
                _options(members, number, *ports[number + SIZE :: SIZE][:2]),
                ports[number + 3 * SIZE],
            )
            for number in range(SIZE)
        ]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """End all that runs, and remove the data."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self) -> None:
        first, *others = self.nodes
        method = ("--auth-root-authentication-method=normal", "--skip-test-db")
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={first.data}", *method, *ACCOUNT],
            env={**os.environ, "TMPDIR": str(first.data.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"The database could not be made:\n{made.stdout}")
        first.start("--wsrep-new-cluster")
        first.wait_until_synced()
        for node in others:  # one after the other: a node sends its data to one at a time
            node.start()
            node.wait_until_synced()


def _options(members: list[str], number: int, take: int, receive: int) -> list[str]:
    here = members[number]
    provider = [
        f"base_port={here.partition(':')[2]}",
        f"gmcast.listen_addr=tcp://{here}",
        f"ist.recv_addr=127.0.0.1:{take}",
        f"ist.recv_bind=127.0.0.1:{take}",
        "gcache.size=32M",
    ]
    return [
        "--wsrep-on=ON",
        f"--wsrep-provider={find_library()}",
        f"--wsrep-provider-options={';'.join(provider)}",
        f"--wsrep-cluster-address=gcomm://{','.join(members)}",
        f"--wsrep-node-address={here}",
        "--wsrep-sst-method=rsync",
        f"--wsrep-sst-receive-address=127.0.0.1:{receive}",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
    ]


def free_ports(count: int) -> list[int]:
    """Find ports that are free, below those that systems give to clients."""
    found: list[int] = []
    for port in random.sample(range(15_000, 32_000), 1000):
        with socket.socket() as listener:
            if len(found) < count and listener.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found
