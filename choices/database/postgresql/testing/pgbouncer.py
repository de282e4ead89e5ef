"""Runs PgBouncer before PostgreSQL, where it pools transactions."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devtools.databases import MissingError, version_of

_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
; fewer than a Store's, so that they have to be shared
default_pool_size = 4
; the suite shuts databases, and opens them again
server_login_retry = 0
; the suite counts connections when a Store is closed
server_idle_timeout = 1
"""


@contextmanager
def pgbouncer(suite: Any, server_url: str) -> Iterator[tuple[str, str]]:
    """Run the installed PgBouncer before a server, for the block; give its version and a URL."""
    # Debian installs it where only root looks for programs.
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        raise MissingError("PgBouncer is missing: apt-get install pgbouncer")
    with tempfile.TemporaryDirectory(prefix="chat_store_") as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        configuration, log = Path(name, "pgbouncer.ini"), Path(name, "log")
        configuration.write_text(
            _SETTINGS.format(server=urlsplit(server_url).port, port=port), "utf-8"
        )
        account = None if os.geteuid() else suite._unprivileged()  # it refuses to run as root
        if account:
            shutil.chown(name, account)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, configuration], stdout=output, stderr=output, user=account
            )
        try:
            while process.poll() is None and not _answers(port):
                time.sleep(0.05)
            if process.poll() is not None:
                raise RuntimeError(f"PgBouncer does not start:\n{log.read_text('utf-8')}")
            yield version_of(program), f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))
