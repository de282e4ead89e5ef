"""Runs Group Replication of MySQL on three nodes on this machine, for the tests of the MySQL flavor."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Self

import pymysql

from choices.database.mysql.testing.database import DATABASE, find_mysql
from choices.database.mysql.testing.galera import free_ports

SIZE = 3
MEMBERS = "performance_schema.replication_group_members"
_ACCOUNT = [] if os.geteuid() else ["--user=root"]


class Node:
    """A server of the group.

    Args:
        directory: Where its data is; its log and its socket are put beside that.
        options: Those that it is always started with.
        port: Where it is to be reached.
    """

    def __init__(self, directory: Path, options: list[str], port: int) -> None:
        self.url = f"mysql://root@127.0.0.1:{port}/"
        self.place = f"127.0.0.1:{port}"
        self._log = directory / "log"
        self._options = [
            *("--no-defaults", f"--datadir={directory / 'data'}", f"--tmpdir={directory}"),
            *(f"--socket={directory / 'socket'}", f"--port={port}", *options, *_ACCOUNT),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def query(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as root, and give the rows of the last."""
        return DATABASE.query(self.url, *statements)

    def start(self) -> None:
        """Start it, outside the group, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([find_mysql(), *self._options], stdout=log, stderr=log)
        self._wait_for("SELECT 1")

    def join(self) -> None:
        """Have it join the group, and wait until it has what the others have."""
        self.query("START GROUP_REPLICATION USER = 'root'")
        self._wait_for(
            f"SELECT 1 FROM {MEMBERS} WHERE member_id = @@server_uuid AND member_state = 'ONLINE'"
        )

    @property
    def is_primary(self) -> bool:
        """Whether it is the one that can be written to, or one of those."""
        return bool(
            self.query(
                f"SELECT 1 FROM {MEMBERS} "
                "WHERE member_id = @@server_uuid AND member_role = 'PRIMARY'"
            )
        )

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _wait_for(self, statement: str) -> None:
        assert self._process is not None
        end = time.monotonic() + 120
        while self._process.poll() is None and time.monotonic() < end:
            try:
                if self.query(statement):
                    return
            except pymysql.err.OperationalError:
                pass
            time.sleep(0.1)
        log = self._log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"A node of the group does not run:\n{log[-10_000:]}")


class Group:
    """Three nodes of which one can be written to; a context manager, which removes them."""

    def __init__(self) -> None:
        program = find_mysql()
        self._directory = Path(tempfile.mkdtemp(prefix="chat_store_"))
        ports = free_ports(2 * SIZE)
        members = [f"127.0.0.1:{port}" for port in ports[:SIZE]]
        name = str(uuid.uuid4())
        data = self._directory / "data"
        made = subprocess.run(
            [program, "--no-defaults", "--initialize-insecure", f"--datadir={data}", *_ACCOUNT],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"The database could not be made:\n{made.stdout}")
        (data / "auto.cnf").unlink()  # each node gives itself an identity
        self.nodes: list[Node] = []
        for number, member in enumerate(members):
            directory = self._directory / str(number)
            shutil.copytree(data, directory / "data")
            options = _options(name, members, member, number + 1)
            self.nodes.append(Node(directory, options, ports[SIZE + number]))

    def __enter__(self) -> Self:
        try:
            first, *others = self.nodes
            first.start()
            first.query("SET GLOBAL group_replication_bootstrap_group = ON")
            first.join()
            first.query("SET GLOBAL group_replication_bootstrap_group = OFF")
            for node in others:
                node.start()
                node.join()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def url(self, *nodes: Node) -> str:
        """Make a database at the primary; give the URL of its account that names these nodes."""
        [primary, *_] = [node for node in self.nodes if node.is_primary]
        url = DATABASE.create_database(primary.url)
        return url.replace(primary.place, ",".join(node.place for node in nodes))

    def remove(self) -> None:
        """End all that runs, and remove the data."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


def _options(name: str, members: list[str], member: str, number: int) -> list[str]:
    group = {
        "group-name": name,
        "local-address": member,
        "group-seeds": ",".join(members),
        "ip-allowlist": "127.0.0.1/8",
        "start-on-boot": "OFF",
        "recovery-get-public-key": "ON",
    }
    return [
        *(f"--server-id={number}", "--bind-address=127.0.0.1", "--report-host=127.0.0.1"),
        *("--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-bin=log"),
        *("--secure-file-priv=", "--mysqlx=OFF", "--plugin-load-add=group_replication.so"),
        *(f"--loose-group-replication-{option}={value}" for option, value in group.items()),
    ]
