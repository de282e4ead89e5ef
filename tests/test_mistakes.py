"""The mistakes of new users: each is made as they make it, and `docs/mistakes.md` has what is shown.

The page has a section for each, which begins with the message, word for word. Only what differs from
one machine to another is replaced: the project is in /srv/app, and a server has its usual port.
`make guides` runs this.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest

from devtools.combinations import FLAVORS
from devtools.databases import server_database
from devtools.rendered import run_command, run_script
from devtools.rendering import ANSWERS_FILE, FIRST, ROOT, commit, copy_tree, render, run, write

PSYCOPG, ASYNCPG, MYSQL = "postgresql-psycopg", "postgresql-asyncpg", "mysql"
SERVERS = (PSYCOPG, ASYNCPG, MYSQL)
SECRET = "s3cret-passw0rd"

# Made one after the other in one process; each has a heading, and the calls that fail.
IN_PYTHON = """
from chat_store_under_test import RequestContext
from fastapi import FastAPI
from fastapi.testclient import TestClient

shown = {}


async def make(heading, *calls):
    shown[heading] = [str(await fails(call)) for call in calls]


store = ChatStore(url, auto_migrate=True)
app = FastAPI()  # without a lifespan that opens the Store


@app.get("/")
async def answer():
    return await store.load_thread("thr_1", alice)


before = [store.load_thread("thr_1", alice), asyncio.to_thread(TestClient(app).get, "/")]
not_open = [str(await fails(call)) for call in before]
async with store:
    await save_one_of_each(store, alice)
    await make(
        "No owner in the context",
        store.load_threads(20, None, "asc", RequestContext("")),
        store.load_threads(20, None, "asc", None),
    )
    await make(
        "A thread or cursor that is not found",
        store.load_thread("thr_2", alice),
        store.load_thread("thr_1", bob),
        store.add_thread_item("thr_1", a_message(), bob),
        store.load_threads(20, "thr_2", "asc", alice),
        store.load_thread_items("thr_1", "msg_2", 20, "asc", alice),
    )
not_open.append(str(await fails(store.load_thread("thr_1", alice))))
shown["A Store that is not open"] = not_open
print(json.dumps(shown))
"""
IN_ANOTHER_LOOP = """
async with ChatStore(url, auto_migrate=True) as store:
    for use in (
        lambda: store.load_threads(20, None, "asc", alice),
        lambda: store.save_thread(a_thread(), alice),
        store.open,
        store.close,
    ):
        print(await fails(asyncio.to_thread(lambda: asyncio.run(use()))))
    await save_one_of_each(store, alice)
"""


class Ground:
    """Where the mistakes are made: renders, and databases, each once it is needed.

    Args:
        template: The template's files.
        directory: For everything that is made.
        project_of: Renders a flavor.
        server_of: Runs a server.
    """

    def __init__(
        self,
        template: Path,
        directory: Path,
        project_of: Callable[[str], Path],
        server_of: Callable[[str], Any],
    ) -> None:
        self.template = template
        self.directory = directory
        self.project = project_of
        self.carrier = render(template, directory / "carrier", {"store_transfer": True})
        self._server_of = server_of
        self.url = cache(self._create_database)
        self.account = cache(self._create_account)
        self.in_python = cache(self._make_in_python)

    def _create_database(self, flavor: str) -> str:
        name = FLAVORS[flavor]["store_database"]
        return server_database(name).create_database(self._server_of(name).url)

    def administrator(self, flavor: str) -> str:
        """Give the URL of an account that may do everything, without a database."""
        server = self._server_of(FLAVORS[flavor]["store_database"])
        return re.sub(r"[^/]*$", "", server.url)

    def _create_account(self, flavor: str) -> str:
        known = server_database(FLAVORS[flavor]["store_database"])
        return known.create_account(self.url(flavor), "right")

    def command(
        self, flavor: str, *arguments: str, status: int = 1, module: str = "chat_store"
    ) -> str:
        """Run the package's command line, or that of an extra; give what it prints."""
        project = self.project(flavor) if module == "chat_store" else self.carrier
        done = run_command(project, *arguments, module=module)
        assert done.returncode == status, done.stdout
        return done.stdout

    def on_file(self, path: Path | str, command: str = "status") -> str:
        """Run a command on a file of SQLite's."""
        return self.command("sqlite", command, "--url", f"sqlite:///{path}")

    def on_servers(self, url_of: Callable[[str], str]) -> str:
        """Ask for the status with each driver."""
        printed = ""
        for flavor in SERVERS:
            url = url_of(flavor)
            usual = "3306" if flavor == MYSQL else "5432"
            said = self.command(flavor, "status", "--url", url, "--pool-timeout", "1")
            printed += re.sub(rf"\b{urlsplit(url).port}\b", usual, said)
        return printed

    def _make_in_python(self) -> dict[str, list[str]]:
        url = f"sqlite:///{self.project('sqlite')}/chat.db"
        printed = run_script(self.project("sqlite"), IN_PYTHON, url)
        messages: dict[str, list[str]] = json.loads(printed)
        return messages

    def copier(self, cwd: Path, *arguments: str | Path) -> str:
        """Run Copier, which has to fail; give the last line: it ends some errors in a traceback."""
        done = run(sys.executable, "-m", "copier", *arguments, cwd=cwd)
        assert done.returncode != 0, done.stdout
        return done.stdout.strip().splitlines()[-1]

    def update(self, name: str, *options: str, spoil: Callable[[Path], object]) -> str:
        """Render into a project, commit, spoil it, and update it."""
        template = commit_copy(self.directory / f"template of {name}")
        project = render(template, self.directory / name)
        commit(project)
        spoil(project)
        return self.copier(project, "update", "--defaults", *options)


def commit_copy(directory: Path) -> Path:
    """Copy the template into a repository with a version."""
    commit(copy_tree(directory), FIRST)
    return directory


@pytest.fixture(scope="module")
def ground(
    template_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
    project_of: Callable[[str], Path],
    server_of: Callable[[str], Any],
) -> Ground:
    """Where the mistakes are made."""
    return Ground(template_files, tmp_path_factory.mktemp("mistakes"), project_of, server_of)


Mistake: TypeAlias = Callable[[Ground], str]


def in_python(heading: str) -> Mistake:
    """Give a mistake of those in IN_PYTHON."""
    return lambda ground: "\n".join(ground.in_python()[heading])


# --- Rendering and updating


def an_answer_that_cannot_be(ground: Ground) -> str:
    """Name a directory that is no module name."""
    return ground.copier(
        ground.directory,
        "copy",
        "--defaults",
        "-d",
        "store_path=my-app/store",
        ground.template,
        "x",
    )


def an_update_without_its_answers_file(ground: Ground) -> str:
    """Leave out the -a."""
    return ground.update("without", spoil=lambda project: None)


def a_template_that_is_not_there(ground: Ground) -> str:
    """Update where the clone is not that the project was rendered from."""
    clone = ground.directory / "template of elsewhere"
    return ground.update(
        "elsewhere", "-a", ANSWERS_FILE, spoil=lambda project: shutil.rmtree(clone)
    )


def an_update_outside_git(ground: Ground) -> str:
    """Update a directory that git does not know."""
    return ground.update(
        "outside", "-a", ANSWERS_FILE, spoil=lambda project: shutil.rmtree(project / ".git")
    )


# --- Starting it


def a_module_that_is_not_installed(ground: Ground) -> str:
    """Run each flavor without a module that it needs."""
    printed = ""
    for flavor, module in zip(("sqlite", *SERVERS), ("chatkit", "psycopg", "asyncpg", "asyncmy")):
        absent = f"raise ModuleNotFoundError(name={module!r})\n"
        write(ground.directory / f"without {module}", {f"{module}.py": absent})
        path = [str(ground.directory / f"without {module}"), "src"]
        done = run(
            *(sys.executable, "-m", "chat_store", "status"),
            cwd=ground.project(flavor),
            env={"PYTHONPATH": os.pathsep.join(path)},
        )
        assert done.returncode == 1, done.stdout
        printed += done.stdout.replace(repr(module), "'psycopg'")
    return printed


def the_wrong_directory(ground: Ground) -> str:
    """Run the command line where Python does not find the package."""
    done = run(
        *(sys.executable, "-m", "chat_store", "status"),
        cwd=ground.project("sqlite"),
        env={"PYTHONPATH": ""},
    )
    assert done.returncode == 1
    in_tests = run(
        *(sys.executable, "-m", "chat_store", "status"),
        cwd=ground.project("sqlite") / "tests",
        env={"PYTHONPATH": ""},
    )
    return done.stdout + in_tests.stdout


def sql_files_that_are_not_installed(ground: Ground) -> str:
    """Install the package as a build does that knows of no other files than Python's."""
    project = shutil.copytree(ground.project("sqlite"), ground.directory / "installed")
    for file in project.rglob("*.sql"):
        file.unlink()
    done = run_command(project, "status", "--url", "sqlite:///chat.db")
    assert done.returncode == 1
    return done.stdout


def no_url(ground: Ground) -> str:
    """Leave the URL out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CHAT_STORE_URL", raising=False)
        return ground.command("sqlite", "status", status=2)


def a_url_of_another_kind(ground: Ground) -> str:
    """Give a path, an SQLAlchemy URL, and the URL of another database."""
    urls = {
        "sqlite": ["chat.db", f"postgresql://app:{SECRET}@localhost/chat"],
        PSYCOPG: [f"postgresql+asyncpg://app:{SECRET}@localhost/chat"],
        MYSQL: [f"mysql+aiomysql://app:{SECRET}@localhost/chat"],
    }
    return "".join(
        ground.command(flavor, "status", "--url", url, status=2)
        for flavor, those in urls.items()
        for url in those
    )


def too_few_slashes(ground: Ground) -> str:
    """Give a path where a host would be."""
    return ground.command("sqlite", "status", "--url", "sqlite://chat.db", status=2)


def an_option_of_the_store_in_the_url(ground: Ground) -> str:
    """Write an argument of ChatStore where the driver's options are."""
    place = f"app:{SECRET}@127.0.0.1:9/chat"
    urls = {
        "sqlite": "sqlite:///chat.db",
        PSYCOPG: f"postgresql://{place}",
        ASYNCPG: ground.url(ASYNCPG),  # asyncpg leaves it to the server to refuse
        MYSQL: f"mysql://{place}",
    }
    return "".join(
        ground.command(
            flavor, "status", "--url", f"{url}?pool_size=5", status=1 if flavor == ASYNCPG else 2
        )
        for flavor, url in urls.items()
    )


# --- SQLite's file


def a_file_that_cannot_be_opened(ground: Ground) -> str:
    """Name a file in no directory, a directory, and what must not be written."""
    printed = {
        "data/chat.db": ground.on_file("data/chat.db", "migrate"),
        "src": ground.on_file("src"),
        **in_places_that_are_read_only(ground),
    }
    project = ground.project("sqlite")
    return "".join(
        said.replace(f"on {project}/{name}:", f"on {project}/chat.db:")
        for name, said in printed.items()
    )


def in_places_that_are_read_only(ground: Ground) -> dict[str, str]:
    """Name a new file in a directory that must not be written, and a file that must not."""
    project = ground.project("sqlite")
    write(project, {"locked/.keep": "", "locked.db": ""})
    (project / "locked").chmod(0o555)
    (project / "locked.db").chmod(0o000)
    # Nothing is read-only for root, unless it goes without these rights.
    rights = "--bounding-set=-dac_override,-dac_read_search"
    prefix = [] if os.geteuid() else ["setpriv", rights]
    printed = {}
    for name in ("locked/chat.db", "locked.db"):
        done = run(
            *(*prefix, sys.executable, "-m", "chat_store", "migrate"),
            *("--url", f"sqlite:///{name}"),
            cwd=project,
            env={"PYTHONPATH": "src"},
        )
        assert done.returncode == 1, done.stdout
        printed[name] = done.stdout
    return printed


def a_file_that_is_no_database(ground: Ground) -> str:
    """Name a text."""
    return ground.on_file("src/chat_store/README.md")


# --- Servers


def a_server_that_is_down(ground: Ground) -> str:
    """Name a port where nobody listens."""
    return ground.on_servers(
        lambda flavor: f"{flavor.partition('-')[0]}://app:{SECRET}@127.0.0.1:9/chat"
    )


def a_password_that_is_wrong(ground: Ground) -> str:
    """Give another password than the account's."""
    return ground.on_servers(
        lambda flavor: ground.account(flavor).replace(":right@", f":{SECRET}@")
    )


def a_password_that_is_not_percent_encoded(ground: Ground) -> str:
    """Leave an @, and a slash, as they are."""
    printed = ""
    for flavor in SERVERS:
        for password in (f"{SECRET}@{SECRET}", f"{SECRET}/{SECRET}"):
            if flavor == MYSQL and "@" in password:
                continue  # MySQL's parts are split at the last one
            url = f"{flavor.partition('-')[0]}://app:{password}@127.0.0.1:9/chat"
            printed += ground.command(flavor, "status", "--url", url, status=2)
    return printed


def an_authority_that_cannot_be_read(ground: Ground) -> str:
    """Name a file of certificates that is not there."""
    url = f"mysql://app:{SECRET}@127.0.0.1:9/chat?tls=verify&tls_ca=ca.pem"
    return ground.command(MYSQL, "status", "--url", url, status=2)


def a_database_that_does_not_exist(ground: Ground) -> str:
    """Name a database that nobody has created."""
    return ground.on_servers(lambda flavor: ground.administrator(flavor) + "chta")


def an_account_that_may_not_create_tables(ground: Ground) -> str:
    """Migrate with an account that may read."""
    lines = ""
    for flavor in SERVERS:
        lines += ground.command(flavor, "migrate", "--url", ground.account(flavor)).splitlines(
            True
        )[-1]
    return lines


def a_url_that_is_missing_or_wrong(ground: Ground) -> str:
    """Make each mistake that a URL can have."""
    return "".join(
        mistake(ground)
        for mistake in (
            no_url,
            a_url_of_another_kind,
            too_few_slashes,
            an_option_of_the_store_in_the_url,
            a_password_that_is_not_percent_encoded,
            an_authority_that_cannot_be_read,
        )
    )


def a_store_in_another_event_loop(ground: Ground) -> str:
    """Open a Store in one loop, and use and close it in others."""
    url = f"sqlite:///{ground.directory}/loops.db"
    return run_script(ground.project("sqlite"), IN_ANOTHER_LOOP, url)


# --- Tables


def tables_that_are_not_there(ground: Ground) -> str:
    """Export before the first migration."""
    url = "sqlite:///empty.db"
    return ground.command("sqlite", "export", "--url", url, "-", module="chat_store.transfer")


MISTAKES: dict[str, Mistake] = {
    "An invalid answer": an_answer_that_cannot_be,
    "An update without its answers file": an_update_without_its_answers_file,
    "A template that has moved": a_template_that_is_not_there,
    "A project without Git": an_update_outside_git,
    "The wrong directory": the_wrong_directory,
    "A missing module": a_module_that_is_not_installed,
    "A URL that is missing or wrong": a_url_that_is_missing_or_wrong,
    "A file that cannot be opened": a_file_that_cannot_be_opened,
    "A file that is not a database": a_file_that_is_no_database,
    "A server that cannot be reached": a_server_that_is_down,
    "A wrong password": a_password_that_is_wrong,
    "A database that does not exist": a_database_that_does_not_exist,
    "An account that cannot create tables": an_account_that_may_not_create_tables,
    "SQL files that are not installed": sql_files_that_are_not_installed,
    "Tables that are missing or too old": tables_that_are_not_there,
    "A Store that is not open": in_python("A Store that is not open"),
    "A Store in another event loop": a_store_in_another_event_loop,
    "No owner in the context": in_python("No owner in the context"),
    "A thread or cursor that is not found": in_python("A thread or cursor that is not found"),
}


def page() -> dict[str, str]:
    """Give the messages of the page, by their headings."""
    text = (ROOT / "docs/mistakes.md").read_text("utf-8")
    return dict(
        re.findall(r"^### ([^\n]+)\n\n```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    )


def shown(printed: str, ground: Ground) -> str:
    """Replace what is different on every machine, and give each line once."""
    for project in (ground.carrier, *map(ground.project, FLAVORS)):
        printed = printed.replace(str(project), "/srv/app")
    printed = re.sub(r"\b(app|chat)_[0-9a-f]{8}\b", r"\1", printed)
    printed = re.sub(r"^applying \w+\n", "", printed, flags=re.MULTILINE)
    printed = printed.replace(sys.executable, "python")
    return "\n".join(dict.fromkeys(printed.splitlines()))


@pytest.mark.guides
@pytest.mark.parametrize("heading", MISTAKES)
def test_the_page_says_what_is_shown_which_has_no_secret_and_no_traceback(
    heading: str, ground: Ground
) -> None:
    message = shown(MISTAKES[heading](ground), ground)
    assert SECRET not in message
    assert "Traceback" not in message
    assert message == page()[heading]


def test_the_page_has_each_mistake_once_and_no_other() -> None:
    headings = re.findall(
        r"^### (.+)$", (ROOT / "docs/mistakes.md").read_text("utf-8"), re.MULTILINE
    )
    assert headings == list(MISTAKES)
