"""An update of a project whose database holds conversations: none is lost, or changed.

`make updates` runs this.
What is done with a Store is done in processes of their own, by `rendered.py`; the servers are those
of the rendered suites.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from devtools.combinations import FLAVORS
from devtools.contract import serves
from devtools.databases import database as database_of
from devtools.databases import give_up
from devtools.history import EARLIER, NEXT, TODAY, flavors
from devtools.rendered import import_rendered, run_command, run_script
from devtools.rendering import (
    Answers,
    commit,
    render,
    render_beside_my_app,
    run,
    update,
    ways_to_answer,
    write,
)

pytestmark = pytest.mark.updates

# Rows of every item type, with odd texts, ties in time and colliding ids, of several owners.
FILL = """
from chat_store_samples import ITEM_TYPES, samples_of
from chat_store_tools import a_note, later

ODD = ["\\0", "\\ufffd", "\\\\u0000", "\\U0001f600 \\u202eright to left", "'; --", "x" * 100_000]
FREE = {"numbers": [2**70, 0.1, -1.5e300, 1e22, 5e-324, 1.0], "list": [[[True]]], "none": None}

async with ChatStore(url, auto_migrate=True) as store:
    for name in ("alice", "Alice", "b\\xf6b"):
        owner = make_context(name)
        for thread_id in ("thr_1", "Thr_1", store.generate_thread_id(owner)):
            await store.save_thread(a_thread(thread_id, metadata={"\\0": name}), owner)
            items = [samples_of(item_type)[-1] for item_type in ITEM_TYPES]
            items += [a_note(text) for text in ODD] + [a_note(FREE)]
            for number, item in enumerate(items):
                fields = {"id": f"item_{number}", "thread_id": thread_id}
                await store.add_thread_item(thread_id, item.model_copy(update=fields), owner)
            again = a_message("item_3", thread_id, "saved again", created_at=later(1000))
            await store.save_item(thread_id, again, owner)
        await store.save_thread(a_thread("thr_gone"), owner)
        await store.delete_thread("thr_gone", owner)
        await store.save_attachment(an_attachment(metadata={"\\0": 2**70}), owner)
"""

# Everything, in order, as the code of this project reads it.
READ = """
async with ChatStore(url) as store:
    found = []
    for name in ("alice", "Alice", "b\\xf6b"):
        owner = make_context(name)
        for thread in (await store.load_threads(1000, None, "desc", owner)).data:
            items = await walk(store, owner, thread_id=thread.id, limit=7)
            found += [name, thread.model_dump_json(), *(it.model_dump_json() for it in items)]
        attachment = await store.load_attachment("atc_1", owner)
        found.append(attachment.model_dump_json() + str(attachment.metadata))
    print(json.dumps(found))
"""

# Every method, as an owner who has not been there before.
USE = """
import secrets

async with ChatStore(url) as store:
    carol = make_context(f"carol {secrets.token_hex(8)}")
    await save_one_of_each(store, carol)
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, carol)
"""
REFUSED = "print(await fails(open_and_close(url)))"

Probes = Callable[[str], Any]


@pytest.fixture(scope="module")
def suites(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Give the module of a flavor's rendered suite that makes databases."""
    known: dict[str, Any] = {}

    def suite(flavor: str) -> Any:
        if flavor not in known:
            project = tmp_path_factory.mktemp("suite")
            render(history, project, FLAVORS[flavor], vcs_ref=TODAY)
            known[flavor] = import_rendered(project, "chat_store_database")
        return known[flavor]

    return suite


@pytest.fixture
def probes(suites: Callable[[str], Any], tmp_path: Path) -> Iterator[Probes]:
    """Make an empty database of a flavor; it is there until the test ends, or asks again."""
    entered: dict[str, Any] = {}

    def probe(flavor: str) -> Any:
        leave(flavor)
        directory = tmp_path / f"database-{flavor}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        try:
            entered[flavor] = suites(flavor).Probe(directory).__enter__()
        except RuntimeError as error:  # it says what to install
            give_up(str(error))
        return entered[flavor]

    def leave(flavor: str) -> None:
        if flavor in entered:
            entered.pop(flavor).__exit__(None, None, None)

    yield probe
    for flavor in list(entered):
        leave(flavor)


def begin(history: Path, project: Path, version: str, answers: Answers) -> Path:
    """Render a version into a project, and commit that."""
    write(project, {".gitignore": "__pycache__/\nscript_*.py\n*.db*\n"})
    render(history, project, answers, vcs_ref=version)
    commit(project)
    return project


def catalogue(probe: Any, database: str) -> list[list[tuple[Any, ...]]]:
    """Read what the database itself knows of its tables."""
    return [probe.query(query) for query in database_of(database).tables]


def succeed(project: Path, *arguments: str) -> str:
    """Run the package's command line, which has to succeed; give what it prints."""
    done = run_command(project, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- the same database


@pytest.mark.parametrize(
    ("flavor", "old", "new"),
    [
        (flavor, old, new)
        for old, new in [*((old, TODAY) for old in EARLIER), (TODAY, NEXT)]
        # One driver of each database: they share the tables and the statements.
        for flavor in {way["store_database"]: it for it, way in flavors(old).items()}.values()
    ],
)
def test_every_row_is_the_same_after_an_update_and_the_old_code_goes_on_working(
    flavor: str, old: str, new: str, history: Path, probes: Probes, tmp_path: Path
) -> None:
    answers = FLAVORS[flavor]
    project = begin(history, tmp_path / "project", old, answers)
    before = shutil.copytree(project, tmp_path / "before")
    probe = probes(flavor)
    rows = run_script(before, FILL + READ, probe.url)
    assert len(json.loads(rows)) > 150

    update(project, to=new)
    commit(project)
    names = {path.stem for path in (project / "src/chat_store/migrations").glob("*.sql")}
    names -= {path.stem for path in (before / "src/chat_store/migrations").glob("*.sql")}
    status = run_command(project, "status", "--url", probe.url)
    assert status.returncode == bool(names)
    assert all(f"pending: {name}" in status.stdout for name in names)
    if names:
        refused = run_script(project, REFUSED, probe.url)
        assert "python -m chat_store migrate" in refused
    printed = succeed(project, "migrate", "--url", probe.url)
    assert all(f"applying {name}" in printed for name in names)

    assert run_script(project, READ + USE, probe.url) == rows
    if serves(history.parent / new, history.parent / old):
        # Both at work, as in a rolling deployment.
        assert run_script(before, READ + USE, probe.url) == rows
    else:
        assert "too new for this code" in run_script(before, REFUSED, probe.url)

    migrated = catalogue(probe, answers["store_database"])
    fresh = probes(flavor)
    succeed(project, "migrate", "--url", fresh.url)
    assert catalogue(fresh, answers["store_database"]) == migrated
    assert str(migrated).count("chatkit_threads") > 3


OWN_MODULE = '''"""The user's own Store."""

from chat_store import ChatStore


class OwnStore(ChatStore):
    """Knows the user's own column."""

    PINNED = "SELECT id FROM chatkit_threads WHERE pinned = 1"
'''


def commands_under(readme: str, heading: str) -> list[str]:
    """Give the commands that a section of the README prints."""
    section = readme.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_commands_of_the_readme_update_an_edited_project_and_its_data(
    history: Path, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """On a database that the user has given a column."""
    project = begin(history, tmp_path / "project", TODAY, {"store_transfer": True})
    readme = (project / "src/chat_store/README.md").read_text("utf-8")
    programs = {
        "PATH": os.pathsep.join([str(Path(tool("copier")).parent), os.environ["PATH"]]),
        "PYTEST_ADDOPTS": "-q -k 'R01 or R37'",
    }

    def follow(heading: str) -> str:
        commands = [it for it in commands_under(readme, heading) if not it.startswith("pip ")]
        assert commands
        done = run("bash", "-exc", "\n".join(commands), cwd=project, env=programs)
        assert done.returncode == 0, done.stdout
        return done.stdout

    follow("Create the tables")
    url = "sqlite:///chat.db"
    rows = run_script(project, FILL + READ, url)
    with closing(sqlite3.connect(project / "chat.db")) as connection:
        connection.execute("ALTER TABLE chatkit_threads ADD COLUMN pinned INTEGER")
        connection.execute("UPDATE chatkit_threads SET pinned = 1 WHERE owner_id = 'alice'")
        connection.commit()
    store = project / "src/chat_store/store.py"
    text = store.read_text("utf-8").replace("timedelta(days=7)", "timedelta(days=30)")
    write(project, {"src/chat_store/store.py": text, "src/mine.py": OWN_MODULE})
    commit(project)

    follow("Update it")
    assert "timedelta(days=30)" in store.read_text("utf-8")
    assert "must be 1 or more" not in text
    assert "must be 1 or more" in store.read_text("utf-8")
    assert "passed" in follow("Test it")
    assert "applying 0003_archived_at" in follow("Create the tables")
    assert run_script(project, READ + USE, url) == rows
    with_url = "export CHAT_STORE_URL=sqlite:///{}.db\n"
    steps = commands_under(readme, "Copy the rows to another database")
    done_by = re.findall(r"-m (chat_store(?:\.transfer)? \w+)", "\n".join(steps))
    assert done_by == [
        "chat_store.transfer export",
        "chat_store migrate",
        "chat_store.transfer import",
    ]
    commit(project)
    commands = [with_url.format("chat"), steps[0], steps[1].replace("=…", "=sqlite")]
    done = run(
        *("bash", "-exc", "\n".join([*commands, with_url.format("other"), *steps[3:]])),
        cwd=project,
        env=programs,
    )
    assert done.returncode == 0, done.stdout
    assert run_script(project, READ, "sqlite:///other.db") == rows
    pinned = "from mine import OwnStore\nimport sqlite3\n"
    pinned += "print(len(sqlite3.connect('chat.db').execute(OwnStore.PINNED).fetchall()))"
    assert run_script(project, pinned, url) == "4\n"


# --- a changed answer


def test_old_ids_stay_readable_after_changes_of_the_id_format(
    template_files: Path, probes: Probes, tmp_path: Path
) -> None:
    check_changes(template_files, probes, tmp_path, ways_to_answer("store_id_format"))


def test_rows_stay_readable_after_changes_of_the_context(
    template_files: Path, probes: Probes, tmp_path: Path
) -> None:
    """But where the owner reads differently: with a tenant's user, and a class of the user's."""
    others = [
        way
        for way in ways_to_answer("store_context")
        if way.get("store_tenant_scope") != "user" and way["store_context"] != "custom"
    ]
    check_changes(template_files, probes, tmp_path, others)


def check_changes(
    template: Path, probes: Probes, directory: Path, changes: list[dict[str, str]]
) -> None:
    """Fill a database, and use it with one answer after the other."""
    first = FLAVORS[next(iter(FLAVORS))]
    probe = probes(next(iter(FLAVORS)))
    rows = ""
    for number, answers in enumerate(changes):
        project = directory / str(number)
        render_beside_my_app(template, project, {**first, **answers})
        if not rows:
            run_script(project, FILL, probe.url)
            rows = run_script(project, READ, probe.url)
        assert run_script(project, READ + USE, probe.url) == rows, answers


def test_another_driver_reads_and_writes_the_same_rows(
    project_of: Callable[[str], Path], probes: Probes
) -> None:
    drivers = [flavor for flavor, way in FLAVORS.items() if "store_driver" in way]
    for one, other in permutations(drivers, 2):
        probe = probes(one)
        rows = run_script(project_of(one), FILL + READ, probe.url)
        assert run_script(project_of(other), READ + USE, probe.url) == rows


# --- rows that are carried in a file


@pytest.fixture(scope="module")
def carriers(template_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Render a flavor that can export and import."""

    def give(flavor: str, **answers: object) -> Path:
        project: Path = tmp_path_factory.mktemp("carrier") / "project"
        return render(
            template_files, project, {**FLAVORS[flavor], "store_transfer": True, **answers}
        )

    return give


def carry(project: Path, *arguments: str) -> None:
    """Run the command line that exports and imports, which has to succeed."""
    done = run_command(project, *arguments, module="chat_store.transfer")
    assert done.returncode == 0, done.stdout


AS_TENANTS = READ.replace("make_context(name)", 'RequestContext("acme", name)')


def test_owners_that_read_differently_take_their_rows_along(
    carriers: Callable[..., Path], probes: Probes, tmp_path: Path
) -> None:
    flavor = next(iter(FLAVORS))
    project = carriers(flavor)
    url = probes(flavor).url
    rows = run_script(project, FILL + READ, url)
    exported, owned = tmp_path / "rows.jsonl", tmp_path / "owned.jsonl"
    carry(project, "export", str(exported), "--url", url)
    lines = [json.loads(line) for line in exported.read_text("utf-8").splitlines()]
    moved = [{**it, "owner": f"acme:{it['owner']}"} if "owner" in it else it for it in lines]
    owned.write_text("".join(f"{json.dumps(it)}\n" for it in moved), "utf-8")
    project = carriers(flavor, store_context="tenant")
    url = probes(flavor).url
    succeed(project, "migrate", "--url", url)
    carry(project, "import", str(owned), "--url", url)
    read = f"from chat_store import RequestContext\n{AS_TENANTS}"
    assert run_script(project, read, url) == rows


def test_another_database_takes_over_every_row_in_its_place(
    carriers: Callable[..., Path], probes: Probes, tmp_path: Path
) -> None:
    """From each to the next, and back to the first."""
    first, *others = FLAVORS
    project = carriers(first)
    url = probes(first).url
    rows = run_script(project, FILL + READ, url)
    exported = ""
    for number, flavor in enumerate([*others, first]):
        file = tmp_path / f"rows{number}.jsonl"
        carry(project, "export", str(file), "--url", url)
        text = without_positions(file)
        assert exported in ("", text)
        exported = text
        project = carriers(flavor)
        url = probes(flavor).url
        succeed(project, "migrate", "--url", url)
        carry(project, "import", str(file), "--url", url)
        assert run_script(project, READ, url) == rows


def without_positions(file: Path) -> str:
    """Give an export without what each database counts by itself."""
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return json.dumps([{**line, "position": 0} for line in lines])


# --- interruptions


@pytest.mark.parametrize("flavor", FLAVORS)
def test_migrate_shows_a_long_step_and_can_be_interrupted_and_run_again(
    flavor: str, history: Path, probes: Probes, tmp_path: Path
) -> None:
    database = database_of(FLAVORS[flavor]["store_database"])
    project = begin(history, tmp_path / "project", TODAY, FLAVORS[flavor])
    migration = project / "src/chat_store/migrations/9001_slow.sql"
    slow = database.slow_migration
    migration.write_text(slow.replace("LONG", str(database.long)), "utf-8")
    probe = probes(flavor)
    process = subprocess.Popen(
        [sys.executable, "-m", "chat_store", "migrate", "--url", probe.url],
        cwd=project,
        env={"PYTHONPATH": str(project / "src"), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith("applying 9001_slow"):
        assert line, "It has ended."
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Interrupted." in output
    assert "Traceback" not in output
    migration.write_text(slow.replace("LONG", "1"), "utf-8")
    assert "applying 9001_slow" in succeed(project, "migrate", "--url", probe.url)
    assert "applying" not in succeed(project, "migrate", "--url", probe.url)
