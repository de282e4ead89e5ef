"""What tests and scripts of the template have to know of MySQL and MariaDB."""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from unittest.mock import patch
from urllib.parse import urlsplit

import pymysql

from devtools.databases import MissingError, Place, PlaceMaker, ServerDatabase, version_of
from devtools.rendering import ROOT

Connection: TypeAlias = "pymysql.Connection[Any]"

MYSQL = ROOT / "build/mysql/mysqld"
"""Where `choices/database/mysql/testing/install_mysql.sh` puts MySQL."""


def find_mysql() -> Path:
    """Find the server of MySQL itself; raises MissingError."""
    if not MYSQL.exists():
        raise MissingError(
            "MySQL is missing: choices/database/mysql/testing/install_mysql.sh "
            "fetches it, on the days when Debian sid's can be installed",
            is_excused=True,
        )
    return MYSQL


def connect(url: str) -> Connection:
    """Connect to a server around the Store; each statement commits."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.removeprefix("/") or None,
        charset="utf8mb4",
        autocommit=True,
    )


@contextmanager
def options(server: Any, *more: str) -> Iterator[None]:
    """Run the server with more options, for the block."""
    run_server = server._run

    def run_with_more(program: str, *those: str) -> Any:
        return run_server(program, *those, *more)

    server.stop()
    with patch.object(server, "_run", run_with_more):
        server.start()
    try:
        yield
    finally:
        server.stop()
        server.start()


class MySQL(ServerDatabase):
    """MySQL and MariaDB; tests that say nothing else run on MariaDB, which Debian has."""

    name = "MariaDB"
    package = "mariadb-server"
    time = "BIGINT"
    tables = (
        """SELECT table_name, column_name, column_type, collation_name, is_nullable, extra,
        column_default FROM information_schema.columns WHERE table_schema = DATABASE()
        ORDER BY table_name, ordinal_position""",
        """SELECT table_name, index_name, seq_in_index, column_name, non_unique
        FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 3""",
        """SELECT table_name, constraint_name, constraint_type
        FROM information_schema.table_constraints WHERE table_schema = DATABASE()
        ORDER BY 1, 2""",
    )
    slow_migration = "CREATE TABLE slow (n INT);\nDO SLEEP(LONG);\n"
    pools: ClassVar[dict[str, str]] = {
        "asyncmy": """
from urllib.parse import urlsplit

import asyncmy
from asyncmy.constants.CLIENT import FOUND_ROWS
from asyncmy.cursors import DictCursor

parts = urlsplit(url)
fields = {}
if arguments[1] == "other":
    fields = {"cursor_cls": DictCursor, "autocommit": True, "client_flag": FOUND_ROWS}
pool = await asyncmy.create_pool(
    host=parts.hostname,
    port=parts.port,
    user=parts.username,
    password=parts.password,
    database=parts.path[1:],
    maxsize=3,
    **fields,
)
USE_POOL
assert pool.freesize == pool.size > 0
async with pool.acquire() as connection:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT 1 AS one")
        assert await cursor.fetchall() == ([{"one": 1}] if fields else ((1,),))
pool.close()
await pool.wait_closed()
"""
    }

    def find(self, suite: Any) -> Any:
        """Find MariaDB's server."""
        return shutil.which("mariadbd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")

    def query(self, url: str, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on a connection of their own, and give the rows of the last."""
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def create_database(self, server_url: str, how: str = "") -> str:
        """Create an empty database and its account; give the URL of that."""
        name, password = f"chat_{secrets.token_hex(4)}", secrets.token_hex(4)
        self.query(
            server_url,
            f"CREATE DATABASE {name} {how}",
            f"CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT ALL ON {name}.* TO '{name}'@'%' WITH GRANT OPTION",
            f"GRANT CREATE USER ON *.* TO '{name}'@'%'",
        )
        place = urlsplit(server_url).netloc.rpartition("@")[2]
        return f"mysql://{name}:{password}@{place}/{name}"

    def create_account(self, url: str, password: str) -> str:
        """Create an account that may read and write the rows, as far as there are tables."""
        parts = urlsplit(url)
        database = parts.path.removeprefix("/")
        account = f"app_{secrets.token_hex(4)}"
        self.query(
            url,
            f"CREATE USER '{account}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT SELECT ON {database}.* TO '{account}'@'%'",
            *(
                f"GRANT INSERT, UPDATE, DELETE ON {database}.{table} TO '{account}'@'%'"
                for (table,) in self.query(url, "SHOW TABLES")
                if table != "chatkit_migrations"
            ),
        )
        place = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{account}:{password}@{place}").geturl()

    def crash(self, server: Any) -> None:
        """Kill a server with SIGKILL, and start it again."""
        server.stop(signal.SIGKILL)
        server.start()

    @contextmanager
    def with_tls(self, server: Any, directory: Path) -> Iterator[None]:
        """Have a server speak TLS, for the block."""
        files = (f"--ssl-cert={directory}/server.crt", f"--ssl-key={directory}/server.key")
        with options(server, *files):
            yield

    def tls_url(self, url: str, authority: Path) -> str:
        """Give the URL that trusts an authority."""
        return f"{url}?tls=verify&tls_ca={authority}"

    @property
    def places(self) -> dict[str, PlaceMaker]:
        """Where CI runs the suite."""

        @contextmanager
        def mariadb(suite: Any) -> Iterator[Place]:
            program = self.find(suite)
            if program is None:
                raise MissingError("MariaDB is missing: apt-get install mariadb-server")
            version = version_of(program).partition("-")[0]
            yield Place(f"MariaDB {version}", {"CHAT_STORE_TEST_SERVER": program})

        @contextmanager
        def mysql(suite: Any) -> Iterator[Place]:
            program = find_mysql()
            yield Place(f"MySQL {version_of(program)}", {"CHAT_STORE_TEST_SERVER": str(program)})

        return {"mariadb": mariadb, "mysql": mysql}


DATABASE = MySQL()
