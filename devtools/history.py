"""A history of the template, for tests of updates: the releases, today's, and what may come.

Today is the working tree, and the next version is made of it.
"""

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
PACKAGE = "template/{{ store_path }}"

Change = tuple[str, str, str]

# What the next version will change: the file, its text of today, and the text then.
CHANGES_OF_NEXT: list[Change] = [
    (
        f"{PACKAGE}/store.py",
        'raise ValueError(f"limit must be at least 1, not {show(str(limit))}")',
        'raise ValueError(f"limit must be 1 or more, not {show(str(limit))}")',
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
        rows = await self._read(owner, statements.LOAD_THREAD, owner, thread_id)
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
        "instead of the SDK's.\n",
        "instead of the SDK's function of that name.\n",
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
    **{f"v{version}": _released(version) for version in kept()},
    TODAY: _today,
    NEXT: _next,
}
EARLIER = [f"v{version}" for version in kept()]


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
    with tempfile.TemporaryDirectory() as directory:
        STATES[version](Path(directory))
        asked = questions(Path(directory))
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
