"""The documentation is true: what can be run of it is run, as a reader would.

A page becomes one shell script, which is run in a project of its own:

- A block without a language is commands, and is run as it stands.
- A Python block whose first line names a file, such as `# src/my_app/main.py`, is written there, and
  imported where that is in `src`. Of any other Python block, the syntax is checked and the imports
  are made.
- A block of SQL is run on the PostgreSQL database of the page.
- A block of `text` is something to read; below `<!-- printed -->`, each of its lines has to be printed
  by the commands of the page.
- A block of TOML or YAML is parsed.
- Any other language fails, unless the line above the block is `<!-- not run: … -->` with a reason.
  Of a Python block that is marked so, only the syntax is checked.

Some programs have stand-ins, in `STAND_INS`: those that would install things, run for minutes, or
stay in the foreground. `make guides` runs what follows a page.
"""

import ast
import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.databases import NAMES, server_database
from devtools.rendering import ROOT, render

START, EXISTING = "docs/start.md", "docs/existing-project.md"
TRANSFER, USER_DATA = "docs/transfer.md", "docs/user-data.md"
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PACKAGE = "src/chat_store/README.md"
"""The rendered README."""

# What the pages say, and what stands for it.
PORT = ":8000/"
URLS = ("postgresql://postgres:secret@localhost:5432/postgres", "postgresql://localhost/chat")
ANY_DATABASE = "store_database=…"

# What the project of a page is rendered with.
ON_POSTGRESQL = {"docs/own.md", "docs/run.md", "docs/security.md", USER_DATA}

_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_NOT_RUN = re.compile(r"\s*<!-- not run: .+ -->")
_FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+)(?P<language>\w*)$")
_FILE = re.compile(r"# (\S+\.py)$")
_PRINTED = "<!-- printed -->"


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes:
        place: Where it is.
        language: What stands behind the fence.
        text: The code.
        is_run: Whether it is not marked as one that cannot be run.
        is_printed: Whether it is marked as what the commands print.
    """

    place: str
    language: str
    text: str
    is_run: bool
    is_printed: bool = False

    @property
    def file(self) -> str | None:
        """The file that the block is, if it names one."""
        match = _FILE.match(self.text.partition("\n")[0])
        return match[1] if match and self.language == "python" else None


def blocks(name: str, text: str) -> Iterator[Block]:
    """Give the blocks of code of a page."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        start = _FENCE.match(lines[number])
        if start:
            above = lines[number - 1]
            is_run, is_printed = not _NOT_RUN.match(above), above.strip() == _PRINTED
            end = lines.index(f"{start['indent']}{start['fence']}", number + 1)
            code = [line.removeprefix(start["indent"]) for line in lines[number + 1 : end]]
            place, text = f"{name}:{number + 1}", "\n".join(code) + "\n"
            yield Block(place, start["language"], text, is_run, is_printed)
            number = end
        else:
            assert "```" not in lines[number], f"{name}:{number + 1}: what block is this?"
        number += 1


def script(page: list[Block], *, between: str = "") -> str:
    """Make one shell script of a page.

    Args:
        page: Its blocks.
        between: Commands to run before each block of commands.
    """
    parts: list[str] = []
    imports: list[str] = []
    for block in page:
        if block.language == "python":
            code = compile(block.text, block.place, "exec", ast.PyCF_ONLY_AST | _AWAIT)
            if not block.is_run:
                continue
            if block.file:
                directory = shlex.quote(os.path.dirname(block.file) or ".")
                parts.append(f"mkdir -p {directory}\n{_here(f'cat >{block.file}', block.text)}")
                if block.file.startswith("src/"):
                    imports.append(f"import {_module(block.file)}")
            else:
                nodes = (ast.Import, ast.ImportFrom)
                imports += [ast.unparse(node) for node in ast.walk(code) if isinstance(node, nodes)]
        elif not block.is_run or block.language == "text":
            continue
        elif block.language == "sql":
            parts.append(_here("sql", block.text))
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
        else:
            assert block.language == "", f"{block.place}: {block.language} is not run; say why"
            parts.append(f"{between}\n{block.text}")
    parts.append(_here("python -", "\n".join(imports) + "\n"))
    return "\n".join(parts)


def _here(command: str, text: str) -> str:
    return f"{command} <<'END OF BLOCK'\n{text}END OF BLOCK\n"


def _module(file: str) -> str:
    return file.removeprefix("src/").removesuffix(".py").replace("/", ".")


# Starts a server, in place of the one before, and waits until it answers.
_SERVE = """
[ -f $STATE/server ] && kill $(cat $STATE/server) && wait_for closed
$PYTHON -W ignore -m "$@" --port $PORT >$STATE/log 2>&1 &
echo $! >$STATE/server
wait_for open
"""
_WAIT = """
wait_for() {
  for _ in $(seq 400); do
    if (: </dev/tcp/127.0.0.1/$PORT) 2>/dev/null; then now=open; else now=closed; fi
    if [ $now = $1 ]; then return; fi
    sleep 0.05
  done
  cat $STATE/log
  exit 1
}
"""

STAND_INS = {
    # All is installed that is needed; what a page asks for must be among it.
    "pip": """
[ $1 = install ]
shift
while [ $# -gt 0 ]; do
  if [ $1 = -r ]; then shift; [ -f $1 ]; else
    $PYTHON -c "import importlib.metadata as m; m.version('${1%%[>=<[]*}')"
  fi
  shift
done
""",
    "python3": """
[ "$1 $2" = "-m venv" ]
mkdir -p $3/bin
touch $3/bin/activate
""",
    "python": """
case "$1 ${2-}" in
  "-m pytest") shift 2; exec pytest "$@" ;;
  *) exec $PYTHON -W ignore "$@" ;;
esac
""",
    # Other tests run the rendered suites; here they have to be there.
    "pytest": "[ -f $1/conftest.py ]",
    "uvicorn": f'{_WAIT}set -- uvicorn "$@"{_SERVE}',
    "uvx": 'exec "$@"',
    # Nobody is there to press Enter.
    "copier": """
if [ $1 = copy ]; then shift; set -- copy --defaults "${@/#--defaults/--quiet}"; fi
exec $PYTHON -m copier "$@"
""",
    "uv": '[ "$1 $2" = "add -r" ] && [ -f $3 ]',
    "make": f'grep -q "^$1:" "{ROOT}/Makefile"',
    "sql": """exec $PYTHON -c "
import os, psycopg, sys
psycopg.connect(os.environ['POSTGRESQL'], autocommit=True).execute(sys.stdin.buffer.read())"
""",
}


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page.

    Attributes:
        directory: Where their projects are, and a clone of the template.
        environment: What their shell knows.
        said: What is written in a page, and what stands for it here.
    """

    directory: Path
    environment: dict[str, str]
    said: dict[str, str]

    def run(self, commands: str) -> str:
        """Run commands, which have to succeed; give what they print."""
        for said, meant in self.said.items():
            commands = commands.replace(said, meant)
        # A file takes the output: a server that is started would keep a pipe open.
        output = self.directory.parent / "output"
        with output.open("w") as stream:
            done = subprocess.run(
                ["bash", "-euxo", "pipefail"],
                input=commands,
                cwd=self.directory,
                env=self.environment,
                stdout=stream,
                stderr=stream,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, output.read_text("utf-8")
        return output.read_text("utf-8")


@pytest.fixture
def reader(
    template: Path, tmp_path: Path, server_of: Callable[[str], Any], tool: Callable[[str], str]
) -> Iterator[Reader]:
    """A reader who has nothing but a clone, and an empty database on PostgreSQL."""
    tool("curl")
    url = server_database("postgresql").create_database(server_of("postgresql").url)
    programs, home = tmp_path / "programs", tmp_path / "home"
    for directory in (programs, home):
        directory.mkdir()
    (home / "copier-chatkit-store").symlink_to(template)
    for program, text in STAND_INS.items():
        (programs / program).write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{text}")
        (programs / program).chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    names = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    inherited = {key: value for key, value in os.environ.items() if "CHAT_STORE" not in key}
    said = dict.fromkeys(URLS, url)
    said |= {each.replace("://", "+psycopg://"): url.replace("://", "+psycopg://") for each in URLS}
    yield Reader(
        home,
        {
            **inherited,
            **dict.fromkeys(names, "reader"),
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
            "PYTHON": sys.executable,
            "PORT": port,
            "STATE": str(tmp_path),
            "POSTGRESQL": url,
        },
        {PORT: f":{port}/", ANY_DATABASE: "store_database=sqlite", **said},
    )
    if (tmp_path / "server").exists():
        os.kill(int((tmp_path / "server").read_text()), signal.SIGTERM)


def read(page: str) -> list[Block]:
    """Give the blocks of one of our pages."""
    return list(blocks(page, (ROOT / page).read_text("utf-8")))


def existing_project() -> list[Block]:
    """Give the blocks of the page for existing projects, which takes its server from the start."""
    server = [block for block in read(START) if block.file == "src/my_app/server.py"]
    return [*read(EXISTING), *server]


@pytest.mark.guides
def test_the_start_leads_to_a_server_that_keeps_what_is_said(reader: Reader) -> None:
    output = reader.run(script(read(START)))
    assert output.count('"text":"You said: Hello"') == 1
    assert '"data":[{"title":"Hello"' in output
    for user, threads in (("alice", 1), ("bob", 0)):  # on PostgreSQL, where it was carried to
        listed = reader.run(
            f"curl -s http://localhost{PORT}chatkit -H 'x-user-id: {user}' "
            """-d '{"type": "threads.list", "params": {}}'"""
        )
        assert listed.count('"title"') == threads


# What a reader of the other pages has before they begin, and does again before each command.
BEFORE = """
git init --quiet project
cd project
printf '%s\n' 'chat.db*' __pycache__/ >.gitignore
copier copy --quiet ../copier-chatkit-store . -d store_database={database} {more}
export PYTHONPATH=src CHAT_STORE_URL={url}
python -m chat_store migrate
"""
# On this page they have an application.
IN_APPLICATION = f"""
cd project
export PYTHONPATH=src DATABASE_URL={URLS[0].replace("://", "+psycopg://")}
"""
APPLICATION = f"""
cp -r {ROOT}/tests/application project
{IN_APPLICATION}
git init --quiet
printf '%s\n' __pycache__/ >.gitignore
python -m alembic upgrade head
git add --all
git commit --quiet --message begin
"""
# Its two applications answer a user, and refuse all others.
ASK = """
import asyncio

from starlette.applications import Starlette
from starlette.testclient import TestClient

from my_app import database, main, models, plain


async def sign_up() -> None:
    async with database.sessions() as session:
        session.add(models.User(email="ann", token="ann"))
        await session.commit()
    await database.engine.dispose()


asyncio.run(sign_up())
for app in (main.app, Starlette(routes=[plain.route], lifespan=main.lifespan)):
    with TestClient(app) as client:
        for token, status in (("ann", 200), ("eve", 401)):
            headers = {"authorization": f"Bearer {token}"}
            body = {"type": "threads.list", "params": {}}
            answer = client.post("/chatkit", headers=headers, json=body)
            assert answer.status_code == status, (app, answer.text)
"""
BETWEEN = "git add --all; git commit --quiet --allow-empty --message work"
# What a page needs beyond that, and what its code must then do.
PREPARE = {
    TRANSFER: _here(
        "sql",
        """
CREATE TABLE threads (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, data JSONB NOT NULL
);
CREATE TABLE items (
    id TEXT PRIMARY KEY, thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, data JSONB NOT NULL
);
INSERT INTO threads
SELECT 'thr_' || n, 'user_' || n % 10, now(), jsonb_build_object(
    'id', 'thr_' || n, 'created_at', now(), 'title', 'Thread ' || n
) FROM generate_series(1, 1000) AS n;
INSERT INTO items
SELECT 'msg_' || n, 'thr_' || n % 1000 + 1, 'user_' || (n % 1000 + 1) % 10, now(), jsonb_build_object(
    'id', 'msg_' || n, 'thread_id', 'thr_' || n % 1000 + 1, 'created_at', now(),
    'type', 'assistant_message', 'content', '[{"type": "output_text", "text": "Hi"}]'::jsonb
) FROM generate_series(1, 5000) AS n;
""",
    ),
    USER_DATA: _here(
        "python -",
        """
import asyncio
from datetime import datetime

from chatkit.types import AssistantMessageItem, FileAttachment, ThreadMetadata, UserMessageItem

from chat_store import ChatStore, RequestContext


async def main() -> None:
    then = datetime(2026, 1, 2, 12)
    async with ChatStore() as store:
        for owner, thread in (("alice", "thr_1"), ("alice", "thr_2"), ("visitor-7", "thr_3")):
            context, base = RequestContext(user_id=owner), {"thread_id": thread, "created_at": then}
            file = FileAttachment(
                id=f"atc_{thread}", name="tickets.pdf", mime_type="application/pdf"
            )
            question = UserMessageItem(
                id="msg_1",
                **base,
                content=[{"type": "input_text", "text": "When is my train?"}],
                attachments=[file],
                inference_options={},
            )
            answer = AssistantMessageItem(id="msg_2", **base, content=[{"text": "At **nine**."}])
            saved = ThreadMetadata(id=thread, created_at=then, title="Rome")
            await store.save_thread(saved, context)
            await store.save_attachment(file, context)
            await store.add_thread_item(thread, question, context)
            await store.add_thread_item(thread, answer, context)


asyncio.run(main())
""",
    ),
}
CHECK = {
    USER_DATA: _here(
        "python -",
        """
import asyncio
import builtins

from chat_store import ChatStore
from my_app.retention import expire_daily


async def main() -> None:
    printed = asyncio.Queue()
    builtins.print = lambda line, **_: printed.put_nowait(line)
    async with ChatStore() as store:
        task = asyncio.create_task(expire_daily(store))
        assert await printed.get() == "expired 0 threads"
        task.cancel()


asyncio.run(main())
""",
    )
}


def follow(reader: Reader, code: list[Block], before: str, after: str = "") -> None:
    """Do what a page shows, which has to succeed and to print what the page says."""
    printed = reader.run(before + script(code, between=BETWEEN) + after).splitlines()
    for block in code:
        if block.is_printed:
            missing = [line for line in block.text.splitlines() if line not in printed]
            assert missing == [], block.place


@pytest.mark.guides
@pytest.mark.parametrize("page", [page for page in PAGES if page not in (START, EXISTING)])
def test_what_a_page_shows_can_be_done(reader: Reader, page: str) -> None:
    code = read(page)
    if any(block.language != "text" for block in code):
        on_postgresql = page in ON_POSTGRESQL
        database = "postgresql" if on_postgresql else "sqlite"
        url = URLS[0] if on_postgresql else "sqlite:///chat.db"
        before = BEFORE.format(database=database, url=url, more="")
        follow(reader, code, before + PREPARE.get(page, ""), CHECK.get(page, ""))


@pytest.mark.guides
def test_an_existing_project_answers_its_users_and_nobody_else(reader: Reader) -> None:
    follow(reader, existing_project(), APPLICATION)
    reader.run(f"{IN_APPLICATION}{_here('python -', ASK)}")


@pytest.mark.guides
@pytest.mark.parametrize("database", NAMES)
def test_what_the_rendered_readme_shows_can_be_done(
    template_files: Path, tmp_path: Path, reader: Reader, database: str
) -> None:
    answers = {"store_database": database, "store_user_data": True, "store_attachments": True}
    project = render(template_files, tmp_path / "any", answers)
    code = list(blocks(PACKAGE, (project / PACKAGE).read_text("utf-8")))
    if database == "sqlite":
        more = "-d store_user_data=true -d store_attachments=true"
        before = BEFORE.format(database=database, url="sqlite:///chat.db", more=more)
        reader.run(f"{before}{script(code, between=BETWEEN)}")
    else:  # the commands are the same
        python = [block for block in code if block.language == "python"]
        reader.run(f"export PYTHONPATH={project / 'src'}\n{script(python)}")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```json\n{}\n```\n", "json is not run"),
        ("1. one\n   ```  \n", "what block is this"),
        ("```python\nfrom\n```\n", "invalid syntax"),
    ],
)
def test_a_block_that_nobody_can_run_is_refused(page: str, words: str) -> None:
    with pytest.raises((AssertionError, SyntaxError), match=words):
        script(list(blocks("page.md", page)))
    script(list(blocks("page.md", "<!-- not run: an example -->\n```json\n{}\n```\n")))


@pytest.mark.guides
@pytest.mark.parametrize(
    "page",
    [
        "```\nmake nothing\n```\n",
        "```python\nfrom datetime import nothing\n```\n",
        "```\necho some\n```\n\n<!-- printed -->\n```text\nnothing\n```\n",
    ],
)
def test_a_page_that_is_not_true_is_noticed(reader: Reader, page: str) -> None:
    before = "git init --quiet project\ncd project\n"
    with pytest.raises(AssertionError, match="nothing"):
        follow(reader, list(blocks("page.md", page)), before)


def test_every_link_to_a_file_leads_to_one() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^):#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert missing == []


def test_the_contract_has_every_rule_under_its_promise() -> None:
    rules = ROOT / "template" / "{{ store_tests_path }}" / "chat_store_rules.py"
    promises = runpy.run_path(str(rules))["PROMISES"]
    text = (ROOT / "docs" / "contract.md").read_text("utf-8")
    assert dict(re.findall(r"^### (R\d\d): (.+)$", text, re.MULTILINE)) == promises
    assert len(promises) == 44
