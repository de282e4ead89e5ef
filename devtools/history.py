"""A history of the template, for tests of updates: what came before, today's, and what may come.

Before the first release there are two states that it could have grown from, made of the kept
archive, so that they stay what they are whatever becomes of today's text. From then on there are the
releases themselves. Today is the working tree, and the next version is made of it.
"""

import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from devtools.combinations import FLAVORS
from devtools.contract import PACKAGE_MIGRATIONS, databases, migrations
from devtools.databases import database as database_of
from devtools.rendering import commit, copy_tree, git, questions
from devtools.snapshots import PARTS, kept, unpack

TODAY, NEXT = "v9998.0.0", "v9999.0.0"
PACKAGE, TESTS = "template/{{ store_path }}", "template/{{ store_tests_path }}"

Change = tuple[str, str, str]

# What 1.0.0 changed, from 0.9.0: the file, its text, and the text before that. The second was a bug:
# on Windows, a time that is out of range is an OSError.
CHANGES_OF_1_0_0: list[Change] = [
    (
        f"{PACKAGE}/store.py",
        """\
        if limit > self._max_page_size:
            logger.warning(
                "A page of %d was asked for and cut to %d", limit, self._max_page_size
            )
        return min(limit, self._max_page_size)
""",
        """\
        if limit <= self._max_page_size:
            return limit
        logger.warning(
            "A page of %d was asked for and cut to %d", limit, self._max_page_size
        )
        return self._max_page_size
""",
    ),
    (
        f"{PACKAGE}/codec.py",
        "    except (OSError, OverflowError, ValueError):\n",
        "    except (OverflowError, ValueError):\n",
    ),
]

# What 0.9.0 changed, from 0.8.0, which had no indexes yet.
CHANGES_OF_0_9_0: list[Change] = [
    (
        f"{PACKAGE}/store.py",
        "        if is_key(thread_id) and is_key(item_id):\n",
        "        if all(is_key(text) for text in (thread_id, item_id)):\n",
    ),
    *[
        (
            "choices/database/mysql/statements.py",
            f" FORCE INDEX (chatkit_{table}_page)\nWHERE",
            "\nWHERE",
        )
        for table in ("items", "threads")
    ],
    (
        "choices/database/mysql/statements.py",
        """\
would not be. The index is named, or the server may read all of the thread up
# to the cursor instead.
""",
        "would not be.\n",
    ),
    (
        "choices/database/postgresql/README.md",
        "migrations.load()[0:2])  # 0001 and 0002",
        "migrations.load()[0:1])  # 0001",
    ),
    # With one migration, tables are empty or up to date.
    (
        f"{TESTS}/test_chat_store_running.py",
        '@pytest.fixture(params=["empty", "outdated"])',
        '@pytest.fixture(params=["empty"])',
    ),
]

# What the next version will change: the file, its text of today, and the text then.
CHANGES_OF_NEXT: list[Change] = [
    (
        f"{PACKAGE}/store.py",
        'raise ValueError(f"limit must be at least 1, not {limit}")',
        'raise ValueError(f"limit must be 1 or more, not {limit}")',
    ),
    # Above methods that look like it, where a careless merge would take it for one of them.
    (
        f"{PACKAGE}/store.py",
        "    async def load_thread(\n",
        '''\
    async def find_thread(
        self, thread_id: str, context: RequestContext
    ) -> ThreadMetadata | None:
        """Load a thread's metadata, if there is such a thread.

        Args:
            thread_id: The thread.
            context: Who asks.

        Returns:
            The same as `load_thread`, or None where that finds nothing.

        Raises:
            UnreadableError: The row does not validate (R29).
        """
        owner = owner_id(context)
        name = f"Thread {thread_id}"
        rows = await self._read_by_id(statements.LOAD_THREAD, (owner, thread_id))
        return codec.load(codec.THREAD, rows[0][1], name) if rows else None

    async def load_thread(
''',
    ),
    (
        f"{PACKAGE}/codec.py",
        '"surrogates not allowed", "depth exceeded", "unknown type"',
        '"surrogates not allowed", "depth exceeded", "not JSON", "unknown type"',
    ),
    (
        f"{PACKAGE}/agents.py",
        "place of the SDK's.\n",
        "place of the SDK's function of that name.\n",
    ),
    (
        "copier.yml",
        "# Computed\n",
        """\
store_next_question:
  type: bool
  default: false
  help: Shall there be more of it? Costs nothing.

# Computed
""",
    ),
]
# In each database's statements, above one like it.
NEW_STATEMENT = (
    'LOAD_THREAD = """\n',
    '''\
COUNT_THREADS = """
SELECT count(*) FROM chatkit_threads
WHERE owner_id IS NOT NULL AND deleted_at IS NULL
"""

LOAD_THREAD = """
''',
)


def next_version(tree: Path) -> None:
    """Turn a tree into a version that may follow it, with one more migration."""
    for change in CHANGES_OF_NEXT:
        _apply(tree, *change)
    for database in databases(tree):
        time = database_of(database).time
        _apply(tree, f"choices/database/{database}/statements.py", *NEW_STATEMENT)
        newest = list(migrations(tree, database))[-1]
        name = f"{int(newest[:4]) + 1:04}_archived_at.sql"
        (tree / "choices/database" / database / "migrations" / name).write_bytes(
            f"-- runs with code from: {int(newest[:4])}\n"
            f"\nALTER TABLE chatkit_threads ADD COLUMN archived_at {time};\n".encode()
        )
        include = (tree / PACKAGE_MIGRATIONS / f"{newest}.jinja").read_text("utf-8")
        (tree / PACKAGE_MIGRATIONS / f"{name}.jinja").write_bytes(
            include.replace(newest, name).encode()
        )


def _v0_9_0(tree: Path) -> None:
    """Write the state before the first release: without the example server."""
    unpack("1.0.0", tree)
    for change in CHANGES_OF_1_0_0:
        _apply(tree, *change)
    lines = r"^{% if store_example_server %}\n.*?^{% endif %}\n"
    part_of_line = r"{% if store_example_server %}.*?{% endif %}"
    question = r"^store_example_server:\n(?:  .*\n)+\n"
    for path in filter(Path.is_file, sorted(tree.rglob("*"))):
        if "example_server" in path.name or path.name == "from_request.py":
            path.unlink()
            continue
        text = path.read_text("utf-8")
        less = re.sub(lines, "", text, flags=re.MULTILINE | re.DOTALL)
        less = re.sub(f"{question}|{part_of_line}", "", less, flags=re.MULTILINE)
        assert "example_server" not in less, path
        path.write_bytes(less.encode())


def _v0_8_0(tree: Path) -> None:
    """Write the state before that: without the second migration."""
    _v0_9_0(tree)
    for change in CHANGES_OF_0_9_0:
        _apply(tree, *change)
    statements = tree / "choices/database/mysql/statements.py"
    without_index, count = re.subn(r"\s+FORCE INDEX \(\w+\)", "", statements.read_text("utf-8"))
    assert count >= 4
    statements.write_bytes(without_index.encode())
    for database in databases(tree):
        (tree / "choices/database" / database / "migrations/0002_indexes.sql").unlink()
    (tree / PACKAGE_MIGRATIONS / "0002_indexes.sql.jinja").unlink()


def _released(version: str) -> Callable[[Path], None]:
    def write(tree: Path) -> None:
        unpack(version, tree)

    return write


def _today(tree: Path) -> None:
    copy_tree(tree, *PARTS)


def _next(tree: Path) -> None:
    _today(tree)
    next_version(tree)


# How to write the tree of each state, oldest first.
STATES: dict[str, Callable[[Path], None]] = {
    "v0.8.0": _v0_8_0,
    "v0.9.0": _v0_9_0,
    **{f"v{version}": _released(version) for version in kept()},
    TODAY: _today,
    NEXT: _next,
}
EARLIER = [tag for tag in STATES if tag not in (TODAY, NEXT)]


def flavors(version: str) -> dict[str, dict[str, str]]:
    """Give today's flavors that a version has, too."""
    choices = _choices(version)
    return {
        name: answers
        for name, answers in FLAVORS.items()
        if all(choice in choices.get(question, ()) for question, choice in answers.items())
    }


@cache
def _choices(version: str) -> dict[str, list[str]]:
    if version in (TODAY, NEXT):
        asked = questions()
    else:  # what came before the first release had its databases
        number = version[1:]
        with tempfile.TemporaryDirectory() as directory:
            tree = unpack(number if number in kept() else kept()[0], Path(directory))
            asked = questions(tree)
    return {
        name: list(details["choices"].values())
        for name, details in asked.items()
        if "choices" in details
    }


def build(directory: Path) -> Path:
    """Make a repository of the template, with a tag for each state; their trees lie beside it."""
    repository = directory
    for tag, write in STATES.items():
        tree = directory / tag
        tree.mkdir(parents=True)
        write(tree)
        if (repository / ".git").exists():
            (repository / ".git").rename(tree / ".git")
        repository = tree
        commit(repository, tag)
    git(repository, "gc", "--quiet")  # Copier clones it for each render; one pack is faster
    return repository


def _apply(tree: Path, name: str, text: str, other: str) -> None:
    before = (tree / name).read_text("utf-8")
    assert text in before, f"{name} has no text to change:\n{text}"
    (tree / name).write_bytes(before.replace(text, other, 1).encode())
