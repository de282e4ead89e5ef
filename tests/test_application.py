"""An application with users, SQLAlchemy and Alembic takes the Store in, as docs/existing-project.md says.

`make guides` runs this.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.databases import server_database
from devtools.rendering import ROOT, render, run, write
from tests.test_docs import existing_project

pytestmark = pytest.mark.guides

DRIVERS = ("psycopg", "asyncpg")

SCRIPT = """
import asyncio
import json
import sys

import httpx
import uvicorn
from sqlalchemy import delete, select, text

from my_app import auth, chat, database
from my_app.main import app
from my_app.models import User

streams, is_crowded = int(sys.argv[1]), sys.argv[2:] == ["crowded"]
people = ("alice", "bob", "carol")
go_on = asyncio.Event()
are_all_in_use = asyncio.Event()
plain = chat.MyServer.respond
plain_read_body = chat.read_body


async def respond(self, *arguments):
    async for event in plain(self, *arguments):
        yield event
        await go_on.wait()


async def read_body(request):
    while not are_all_in_use.is_set():  # all requests have come
        if database.engine.pool.checkedout() == 15:
            are_all_in_use.set()
        await asyncio.sleep(0.001)
    return await plain_read_body(request)


chat.MyServer.respond = respond
if is_crowded:
    chat.read_body = read_body

def request(kind, params):
    return {"content": json.dumps({"type": kind, "params": params})}


async def main():
    async with database.sessions() as session:
        if await session.scalar(select(User)) is None:
            session.add_all([User(email=name, token=name) for name in people])
            await session.commit()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/chatkit"
    names = ("alice", "bob", "carol", "eve")
    alice, bob, deleted, nobody = ({"authorization": f"Bearer {name}"} for name in names)
    hello = {"content": [{"type": "input_text", "text": "Hi"}], "attachments": []}
    create = request("threads.create", {"input": {**hello, "inference_options": {}}})

    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=100)) as client:
        begun = asyncio.Semaphore(0)

        async def stream():
            async with client.stream("POST", url, headers=alice, **create) as response:
                if response.status_code == 500:
                    begun.release()
                async for line in response.aiter_lines():
                    if "thread.updated" in line:  # the answer is stored, and then the title
                        begun.release()
            return response.status_code

        tasks = [asyncio.ensure_future(stream()) for _ in range(streams)]
        for _ in tasks:
            await begun.acquire()
        print("in use:", database.engine.pool.checkedout())
        go_on.set()
        print("failed:", (await asyncio.gather(*tasks)).count(500) > 0)
        threads = request("threads.list", {"limit": 100})
        for name, headers in (("alice", alice), ("bob", bob)):
            listed = (await client.post(url, headers=headers, **threads)).json()
            print("threads of", name, len(listed["data"]))
        assert (await client.post(url, headers=nobody, **threads)).status_code == 401
        async with database.sessions() as session:
            await session.execute(delete(User).where(User.email == "carol"))
            await session.commit()
        assert (await client.post(url, headers=deleted, **threads)).status_code == 401
    async with database.engine.connect() as connection:  # the Store has none of its own
        count = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        pool = database.engine.pool.size() + 10 * is_crowded  # more than its size are closing
        assert (await connection.execute(count)).scalar_one() <= pool
    server.should_exit = True
    await serving


asyncio.run(main())
"""


SYNCHRONOUS = {
    "migrations/env.py": """
from alembic import context

from chat_store.sqlalchemy.alembic import include_object
from my_app.database import engine
from my_app.models import Base

with engine.connect() as connection:
    context.configure(connection, target_metadata=Base.metadata, include_object=include_object)
    with context.begin_transaction():
        context.run_migrations()
""",
    "src/my_app/database.py": """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from my_app.settings import settings

engine = create_engine(settings.database_url)
sessions = sessionmaker(engine)
""",
    "src/my_app/auth.py": """
from typing import Annotated

from fastapi import Header, HTTPException
from sqlalchemy import select

from my_app.database import sessions
from my_app.models import User


def current_user(authorization: Annotated[str, Header()] = "") -> User:
    token = authorization.removeprefix("Bearer ")
    with sessions() as session:
        user = session.scalar(select(User).where(User.token == token))
    if user is None:
        raise HTTPException(401)
    return user
""",
    "src/my_app/main.py": """
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from my_app import chat
from my_app.auth import current_user
from my_app.models import User


@asynccontextmanager
async def lifespan(app):
    async with chat.store:
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(chat.router)


@app.get("/me")
def me(user: Annotated[User, Depends(current_user)]) -> str:
    return user.email
""",
    "ask.py": """
from sqlalchemy import text
from starlette.testclient import TestClient

from my_app.database import sessions
from my_app.main import app
from my_app.models import User

with sessions.begin() as session:
    session.add(User(email="alice", token="alice"))
hello = {"content": [{"type": "input_text", "text": "Hi"}], "attachments": []}
create = {"type": "threads.create", "params": {"input": {**hello, "inference_options": {}}}}
alice = {"authorization": "Bearer alice"}
with TestClient(app) as client:
    assert client.get("/me", headers=alice).json() == "alice"
    assert "You said: Hi" in client.post("/chatkit", headers=alice, json=create).text
    assert client.post("/chatkit", json=create).status_code == 401
with sessions() as session:
    query = "SELECT owner_id, data->>'type' FROM chatkit_items ORDER BY position"
    assert session.execute(text(query)).all() == [("1", "user_message"), ("1", "assistant_message")]
""",
}


@pytest.fixture
def driver() -> str:
    """The driver of the application's engine."""
    return DRIVERS[0]


@pytest.fixture
def context() -> dict[str, str]:
    """The answers about the context."""
    return {}


@pytest.fixture
def application(
    template_files: Path,
    tmp_path: Path,
    server_of: Callable[[str], Any],
    driver: str,
    context: dict[str, str],
) -> tuple[Path, dict[str, str]]:
    """The application with the Store, and the environment that it runs in."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "tests" / "application", project)
    answers = {"store_database": "postgresql", "store_driver": driver, "store_sqlalchemy": True}
    render(template_files, project, {**answers, **context})
    write(project, {block.file: block.text for block in existing_project() if block.file})
    url = server_database("postgresql").create_database(server_of("postgresql").url)
    environment = {
        "DATABASE_URL": url.replace("://", f"+{driver}://"),
        "PYTHONPATH": "src",
        "PYTHONWARNINGS": "ignore",
    }
    return project, environment


def succeed(application: tuple[Path, dict[str, str]], *command: str) -> str:
    """Run a module in the application."""
    project, environment = application
    done = run(sys.executable, "-m", *command, cwd=project, env=environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


AUTH = ROOT / "tests/application/src/my_app/auth.py"
"""As it is before: the session of a dependency finds the user."""


@pytest.mark.parametrize("driver", DRIVERS)
def test_streams_hold_no_connection_of_the_applications_one_pool(
    application: tuple[Path, dict[str, str]],
) -> None:
    project, _ = application
    succeed(application, "alembic", "upgrade", "head")
    write(project, {"serve.py": SCRIPT})
    printed = succeed(application, "serve", "20")
    assert "in use: 0\nfailed: False\nthreads of alice 20\nthreads of bob 0\n" in printed
    shutil.copy(AUTH, project / "src/my_app")
    assert "in use: 10\nfailed: False\nthreads of alice 30\n" in succeed(application, "serve", "10")


@pytest.mark.parametrize("scope", ["", ', scope="function"'])
def test_more_sessions_than_connections_end_requests_while_the_store_waits(
    application: tuple[Path, dict[str, str]], scope: str
) -> None:
    project, _ = application
    chat = (project / "src/my_app/chat.py").read_text("utf-8")
    session = "Depends(get_session"
    files = {
        "serve.py": SCRIPT,
        "src/my_app/auth.py": AUTH.read_text("utf-8").replace(session, f"{session}{scope}"),
        "src/my_app/chat.py": chat.replace("(engine))", "(engine), pool_timeout=1)"),
    }
    write(project, files)
    succeed(application, "alembic", "upgrade", "head")
    printed = succeed(application, "serve", "20", "crowded")
    assert "failed: True\n" in printed
    assert "DatabaseTimeoutError" in printed


@pytest.mark.parametrize("driver", DRIVERS)
def test_autogenerate_sees_only_what_is_the_applications(
    application: tuple[Path, dict[str, str]],
) -> None:
    project, _ = application
    env = project / "migrations" / "env.py"
    env.write_text(
        env.read_text("utf-8").replace("import Base", "import Base\nfrom my_app import pins")
    )
    succeed(application, "alembic", "upgrade", "head")
    succeed(application, "alembic", "revision", "--autogenerate", "-m", "pins", "--rev-id", "0003")
    [revision] = project.glob("migrations/versions/0003*")
    assert "create_table('pins'" in revision.read_text("utf-8").replace('"', "'")
    assert "chatkit_items" not in revision.read_text("utf-8")
    succeed(application, "alembic", "upgrade", "head")
    assert "No new upgrade operations" in succeed(application, "alembic", "check")
    succeed(application, "alembic", "downgrade", "base")
    script = succeed(application, "alembic", "upgrade", "head", "--sql")
    assert script.index("CREATE TABLE chatkit_items") < script.index("CREATE TABLE pins")
    script = succeed(application, "alembic", "downgrade", "head:base", "--sql")
    assert script.index("DROP TABLE pins") < script.index("DROP TABLE chatkit_threads")


def test_a_synchronous_application_chats_on_a_pool_of_the_stores_own(
    application: tuple[Path, dict[str, str]],
) -> None:
    project, environment = application
    chat = (project / "src/my_app/chat.py").read_text("utf-8")
    for asynchronous, own in (
        ("from chat_store.sqlalchemy.engine import EngineConnections\n", ""),
        ("from my_app.database import engine", "from my_app.settings import settings"),
        ("connections=EngineConnections(engine)", "settings.database_url"),
    ):
        assert asynchronous in chat
        chat = chat.replace(asynchronous, own)
    write(project, {**SYNCHRONOUS, "src/my_app/chat.py": chat})
    for direction in (("upgrade", "head"), ("downgrade", "0001"), ("upgrade", "head")):
        succeed(application, "alembic", *direction)
    assert "No new upgrade operations" in succeed(application, "alembic", "check")
    printed = succeed(application, "chat_store", "status", "--url", environment["DATABASE_URL"])
    assert "The tables fit this code." in printed
    succeed(application, "ask")


MEMBERS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from my_app.models import Base


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)


class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey(Team.id))
    team: Mapped[Team] = relationship()
"""

ORM_CONTEXTS = """
import asyncio
from dataclasses import dataclass
from datetime import datetime

from chatkit.types import ThreadMetadata
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm.exc import DetachedInstanceError

from chat_store import ChatStore
from chat_store.keys import read_owner
from chat_store.sqlalchemy.engine import EngineConnections
from my_app.database import engine
from my_app.members import Member, Team
from my_app.models import Base


@dataclass(frozen=True)
class Copy:
    id: int


async def load(expires, copy=lambda member: member):
    async with async_sessionmaker(engine, expire_on_commit=expires)() as session:
        context = copy(await session.get_one(Member, 7))
        await session.commit()
    return context


async def main():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine).begin() as session:
        session.add(Member(id=7, team=Team(id=1)))
    thread = ThreadMetadata(id="thr_1", created_at=datetime.now())
    async with ChatStore(connections=EngineConnections(engine), auto_migrate=True) as store:
        for context in (
            await load(expires=False),
            await load(expires=True, copy=lambda member: Copy(member.id)),
        ):
            await store.save_thread(thread, context)
            assert (await store.load_thread("thr_1", context)).id == "thr_1"
        wrong = (
            lambda: store.load_thread("thr_1", expired),
            lambda: read_owner(kept, "team.id"),
        )
        expired, kept = await load(expires=True), await load(expires=False)
        for call in wrong:
            try:
                await call()
            except DetachedInstanceError:
                pass
            else:
                raise AssertionError("it was read")
    await engine.dispose()


asyncio.run(main())
"""


@pytest.mark.parametrize(
    "context",
    [
        {
            "store_context": "custom",
            "store_context_class": "my_app.members:Member",
            "store_context_owner": "id",
        }
    ],
)
def test_an_orm_object_is_a_context_as_long_as_nothing_has_to_be_loaded(
    application: tuple[Path, dict[str, str]],
) -> None:
    write(application[0], {"src/my_app/members.py": MEMBERS, "contexts.py": ORM_CONTEXTS})
    succeed(application, "contexts")


def test_the_applications_own_checks_pass(
    application: tuple[Path, dict[str, str]], tool: Callable[[str], str], mypy_cache: Path
) -> None:
    project, environment = application
    for command in (
        ("ruff", "check", "src/my_app", "migrations"),
        ("ruff", "format", "--check", "src/my_app", "migrations"),
        ("mypy", f"--cache-dir={mypy_cache}", "src/my_app"),
    ):
        done = run(tool(command[0]), *command[1:], cwd=project, env=environment)
        assert done.returncode == 0, done.stdout
    assert "1 passed" in succeed(application, "pytest", "-q", "tests/test_app.py")


def test_a_wheel_of_the_application_holds_the_store_and_its_migrations(
    application: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    project, _ = application
    settings = project / "pyproject.toml"
    packages = '[tool.hatch.build.targets.wheel]\npackages = ["src/my_app", "src/chat_store"]\n'
    settings.write_text(f"{settings.read_text('utf-8')}\n{packages}", "utf-8")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    done = run(*pip, "--target", tmp_path / "installed", project, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (tmp_path / "empty").mkdir()
    code = "from chat_store import migrate, web; import my_app; print(len(migrate.load()))"
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PYTHONWARNINGS": "ignore"}
    found = run(sys.executable, "-c", code, cwd=tmp_path / "empty", env=environment)
    assert found.stdout == "2\n", found.stdout
