"""What is released stays: nothing that users have is changed under them by a later version."""

import shutil
import time
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from devtools.contract import (
    broken_promises,
    databases,
    migrations,
    section_of,
    unsafe_migrations,
    unwritten_changes,
    ways_to_render,
)
from devtools.history import EARLIER, STATES, flavors
from devtools.rendering import ROOT, Answers, files_of, git
from devtools.snapshots import PARTS, archive_of, kept, pack, parse, unpack

NEWEST = kept()[-1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The trees of the kept releases, by version."""
    return {version: unpack(version, tmp_path_factory.mktemp("released")) for version in kept()}


@pytest.fixture(scope="module")
def newest(released: dict[str, Path]) -> Path:
    """The tree of the newest kept release."""
    return released[NEWEST]


# --- the promises


@pytest.mark.parametrize("version", kept())
def test_what_is_released_has_not_changed(
    version: str, released: dict[str, Path], template_files: Path
) -> None:
    assert broken_promises(released[version], template_files) == []


def test_the_newest_release_runs_on_the_schema_of_today(newest: Path, template_files: Path) -> None:
    assert unsafe_migrations(newest, template_files) == []


@pytest.mark.parametrize("version", kept())
def test_the_changelog_tells_what_a_release_brought(
    version: str, released: dict[str, Path]
) -> None:
    section = section_of(CHANGELOG, version)
    if section is None and not git(ROOT, "tag", "--list", f"v{version}"):  # not out yet
        section = section_of(CHANGELOG, None)
    assert section, f"CHANGELOG.md has no section `## {version} (YYYY-MM-DD)` with text"
    before = [released[other] for other in kept() if parse(other) < parse(version)]
    assert unwritten_changes(section, before[-1] if before else None, released[version]) == []


def test_the_changelog_tells_what_the_next_release_will_bring(
    newest: Path, template_files: Path
) -> None:
    unreleased = section_of(CHANGELOG, None) or ""
    assert unwritten_changes(unreleased, newest, template_files) == []


# --- the archives


@pytest.mark.parametrize("version", kept())
def test_a_tag_is_on_what_the_archive_holds(
    version: str, released: dict[str, Path], tmp_path: Path
) -> None:
    if git(ROOT, "tag", "--list", f"v{version}"):
        git(ROOT, "archive", f"--output={tmp_path / 'tag.tar'}", f"v{version}", *PARTS)
        shutil.unpack_archive(tmp_path / "tag.tar", tmp_path / "tag")
        assert files_of(tmp_path / "tag") == files_of(released[version])


@pytest.mark.parametrize("version", kept())
def test_an_archive_holds_what_copier_sees_and_nothing_of_a_machine(
    version: str, released: dict[str, Path], tmp_path: Path
) -> None:
    assert {path.name for path in released[version].iterdir()} == set(PARTS)
    again = tmp_path / "again.tar.gz"
    pack(released[version], again)
    # Not the compressed bytes, which another zlib may write otherwise.
    assert inflated(again) == inflated(archive_of(version))


def test_the_same_tree_is_packed_into_the_same_bytes(
    newest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(newest, tmp_path / "copy", copy_function=shutil.copyfile)
    (copy / "copier.yml").chmod(0o600)
    (copy / "tests").mkdir()
    (copy / "tests/of_no_use_to_copier.py").write_text("", "utf-8")
    archives = [tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"]
    for tree, archive in zip((newest, copy), archives, strict=True):
        pack(tree, archive)
        monkeypatch.setattr(time, "time", lambda: 0.0)
    assert archives[0].read_bytes() == archives[1].read_bytes()


def inflated(archive: Path) -> bytes:
    """Decompress an archive, to the bytes of its tar file."""
    return zlib.decompress(archive.read_bytes(), wbits=31)


# --- a check that cannot fail proves nothing

Change = Callable[[Path], None]

# Those of the first release: later choices, such as a new database, it cannot render.
FIRST_DATABASES = list({way["store_database"]: None for way in flavors(EARLIER[0]).values()})
PACKAGE, TESTS = "template/{{ store_path }}", "template/{{ store_tests_path }}"


def replace(name: str, text: str, other: str) -> Change:
    """Change a text of a file."""

    def change(tree: Path) -> None:
        before = (tree / name).read_text("utf-8")
        assert text in before, f"{name}: {text}"
        (tree / name).write_text(before.replace(text, other, 1), "utf-8")

    return change


def remove(*names: str) -> Change:
    """Remove files."""

    def change(tree: Path) -> None:
        for name in names:
            (tree / name).unlink()

    return change


def rename(name: str, other: str) -> Change:
    """Rename a file."""

    def change(tree: Path) -> None:
        (tree / name).rename(tree / other)

    return change


def add(name: str, text: str) -> Change:
    """Add a text at the end of a file, which may be new."""

    def change(tree: Path) -> None:
        (tree / name).parent.mkdir(exist_ok=True)
        with (tree / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return change


def add_migration(header: str, number: int | None = None) -> Change:
    """Add a migration to every database, or one of a number of its own."""

    def change(tree: Path) -> None:
        for database in databases(tree):
            new = number or len(migrations(tree, database)) + 1
            room = f"choices/database/{database}/migrations"
            add(f"{room}/{new:04}_more.sql", f"{header}ALTER TABLE chatkit_items ADD more INT;\n")(
                tree
            )

    return change


def first_migration(database: str) -> str:
    """Name the first migration's file of a database."""
    return f"choices/database/{database}/migrations/0001_tables.sql"


BAD_CHANGES: dict[str, tuple[Change, str]] = {
    **{
        f"a byte in a migration of {database}": (
            replace(first_migration(database), "chatkit_items", "chatkit_Items"),
            f"{first_migration(database)} has changed",
        )
        for database in FIRST_DATABASES
    },
    "a removed migration": (
        remove(
            *map(first_migration, FIRST_DATABASES),
            f"{PACKAGE}/migrations/0001_tables.sql.jinja",
        ),
        f"{first_migration('sqlite')} is gone",
    ),
    "another migration included in its place": (
        replace(f"{PACKAGE}/migrations/0001_tables.sql.jinja", "0001_tables", "0002_indexes"),
        f"{PACKAGE}/migrations/0001_tables.sql.jinja has changed",
    ),
    "a removed path": (remove(f"{PACKAGE}/agents.py"), "PACKAGE/agents.py is not rendered"),
    "a renamed path": (
        rename(f"{TESTS}/chat_store_tools.py", f"{TESTS}/chat_store_helpers.py"),
        "TESTS/chat_store_tools.py is not rendered",
    ),
    "a removed optional path": (
        remove(
            f"{PACKAGE}/{{% if store_example_server %}}example_server.py{{% endif %}}.jinja",
        ),
        "PACKAGE/example_server.py is not rendered",
    ),
    "a path that one database lacks": (
        rename(
            f"{PACKAGE}/keys.py",
            f"{PACKAGE}/{{% if store_database != 'sqlite' %}}keys.py{{% endif %}}.jinja",
        ),
        "PACKAGE/keys.py is not rendered",
    ),
    "a renamed choice": (
        replace("copier.yml", ": typeid\n", ": type_id\n"),
        "`store_id_format` has no choice `typeid`",
    ),
    "a removed choice": (
        replace("copier.yml", "    Dict - any keys", "    # Dict - any keys"),
        "`store_context` has no choice `dict`",
    ),
    "another default": (
        replace("copier.yml", "default: uuid7", "default: ulid"),
        "the default of `store_id_format` has changed",
    ),
    "another default path": (
        replace("copier.yml", "default: src/chat_store", "default: chat_store"),
        "the default of `store_path` has changed",
    ),
    "another type": (
        replace("copier.yml", "store_id_pattern:\n  type: str", "store_id_pattern:\n  type: yaml"),
        "the type of `store_id_pattern` has changed",
    ),
    "a renamed question": (
        replace("copier.yml", "store_id_pattern:", "store_id_regex:"),
        "the question `store_id_pattern` is gone",
    ),
    "a question that is not asked any more": (
        replace("copier.yml", "when: \"{{ store_context == 'tenant' }}\"", "when: false"),
        "the question `store_tenant_scope` is gone",
    ),
    "another answers file": (
        replace("copier.yml", "copier-answers.chat-store", "copier-answers.chatkit-store"),
        "`_answers_file` has changed",
    ),
    "an answer that is refused": (
        replace("copier.yml", "store_example_server:", "store_example_server:\n  validator: Never"),
        "cannot be rendered any more",
    ),
    "tasks": (add("copier.yml", "\n_tasks: [echo]\n"), "`_tasks` is banned"),
    "a secret": (
        replace("copier.yml", "store_id_pattern:", "store_id_pattern:\n  secret: true"),
        "`store_id_pattern` is secret",
    ),
    "a migration that breaks older code": (
        add_migration(""),
        "_more.sql does not begin with `-- runs with code from: N`",
    ),
    "a migration that breaks the newest release": (
        add_migration("-- runs with code from: 3\n"),
        "with N at most 2, which the newest release knows",
    ),
    "a migration that says so too late": (
        add_migration("-- More.\n-- runs with code from: 1\n"),
        "_more.sql does not begin with",
    ),
    "two migrations of one number": (
        add_migration("-- runs with code from: 1\n", 2),
        "0001_tables.sql, 0002_indexes.sql, 0002_more.sql do not count up",
    ),
    "a migration's number left out": (
        add_migration("-- runs with code from: 1\n", 9),
        "do not count up",
    ),
}


def few_ways(tree: Path) -> tuple[Answers, Answers]:
    """Give answers with nothing that is optional and with all of it; more would only take longer."""
    ways = ways_to_render(tree)
    return ways[0], ways[-1]


@pytest.mark.parametrize("name", BAD_CHANGES)
def test_a_bad_change_is_noticed(name: str, released: dict[str, Path], tmp_path: Path) -> None:
    """Seen on the first release, so that a later one does not make a change here allowed."""
    change, complaint = BAD_CHANGES[name]
    first = released[kept()[0]]
    changed = shutil.copytree(first, tmp_path / "changed")
    change(changed)
    found = [*broken_promises(first, changed, few_ways(first)), *unsafe_migrations(first, changed)]
    assert any(complaint in line for line in found), found


GOOD_CHANGES: dict[str, Change] = {
    "a migration that the newest release runs with": add_migration("-- runs with code from: 2\n"),
    "a new question": add(
        "copier.yml", "\nstore_colour:\n  type: str\n  default: red\n  help: Which colour?\n"
    ),
    "a new path": add(f"{PACKAGE}/news.py", "NEWS = 1\n"),
    "a new choice": replace(
        "copier.yml", "    Dict - any", "    List - no keys: list\n    Dict - any"
    ),
    "a new label": replace("copier.yml", "UUIDv4 - 36 characters", "UUIDv4 - some characters"),
    "another text": replace(f"{PACKAGE}/store.py", '"""ChatStore', '"""The ChatStore'),
}


@pytest.mark.parametrize("name", GOOD_CHANGES)
def test_a_good_change_is_allowed(name: str, released: dict[str, Path], tmp_path: Path) -> None:
    first = released[kept()[0]]
    changed = shutil.copytree(first, tmp_path / "changed")
    GOOD_CHANGES[name](changed)
    assert broken_promises(first, changed, few_ways(first)) == []
    assert unsafe_migrations(first, changed) == []


@pytest.mark.parametrize(("before", "after"), list(pairwise(STATES)))
def test_the_history_that_updates_are_tested_on_keeps_the_promises(
    before: str, after: str, history: Path
) -> None:
    old, new = (history.parent / tag for tag in (before, after))
    assert broken_promises(old, new, ways_to_render(old)[:1]) == []
    assert unsafe_migrations(old, new) == []
