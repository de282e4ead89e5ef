"""Breaks the rendered Store, once for each rule, and sees that rule's test fail.

A test that cannot fail proves nothing. Each slip below is put into a copy of a render, and the
rendered suite must then have a failure among the tests that are named after the rule.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import give_up_without_server
from rendering import render


@dataclass(frozen=True)
class Slip:
    """A realistic mistake: in a file of the package, one text stands for another."""

    rule: str
    file: str
    right: str
    wrong: str
    database: str = "sqlite"


SLIPS = [
    Slip(
        "R01",
        "codec.py",
        'return adapter.dump_json(value, warnings="error")',
        'return adapter.dump_json(value, exclude={"status"}, warnings="error")',
    ),
    Slip(
        "R02",
        "store.py",
        '        raise NotFoundError(f"{name} not found")\n    return rows[0][1]',
        "        raise KeyError(name)\n    return rows[0][1]",
    ),
    Slip(
        "R03",
        "codec.py",
        'return adapter.dump_json(value, warnings="error")',
        "return adapter.dump_json(value, serialize_as_any=True)",
    ),
    Slip(
        "R04",
        "statements.py",
        "    created_at = CASE\n        WHEN deleted_at IS NULL THEN created_at\n"
        "        ELSE excluded.created_at\n    END,",
        "    created_at = excluded.created_at,",
    ),
    Slip(
        "R05",
        "statements.py",
        "ON CONFLICT (owner_id, thread_id, id) DO UPDATE SET data = excluded.data",
        "ON CONFLICT (owner_id, thread_id, id) DO UPDATE SET data = excluded.data,\n"
        "    created_at = excluded.created_at, position = excluded.position",
    ),
    Slip("R06", "store.py", "if item.id == PLACEHOLDER_ID:", "if not item.id:"),
    Slip(
        "R07",
        "store.py",
        '        """Update an item by its id, or insert it, as `add_thread_item` does (R07)."""\n',
        '        """Update an item by its id."""\n'
        "        await self.load_item(thread_id, item.id, context)\n",
    ),
    Slip(
        "R08",
        "store.py",
        "if not await self._write((statements.SAVE_ITEM, params)):",
        "if await self._write((statements.SAVE_ITEM, params)) < 0:",
    ),
    Slip(
        "R09",
        "store.py",
        "            await self._write((statements.DELETE_ITEM, (owner, thread_id, item_id)))",
        "            if not await self._write(\n"
        "                (statements.DELETE_ITEM, (owner, thread_id, item_id))\n"
        "            ):\n"
        '                raise NotFoundError(f"Item {item_id} not found")',
    ),
    Slip(
        "R10",
        "statements.py",
        "WHERE deleted_at IS NULL\n"
        "    OR excluded.created_at > coalesce(newest_created_at, created_at)",
        "WHERE true",
    ),
    Slip("R11", "keys.py", "MAX_KEY_LENGTH = 255", "MAX_KEY_LENGTH = 254"),
    Slip(
        "R12",
        "statements.py",
        'LOAD_ATTACHMENT = """\nSELECT id, data FROM chatkit_attachments WHERE owner_id = ?',
        'LOAD_ATTACHMENT = """\nSELECT id, data FROM chatkit_attachments WHERE owner_id <> ?',
    ),
    Slip(
        "R13",
        "migrations/0001_tables.sql",
        "    PRIMARY KEY (owner_id, thread_id, id),\n    FOREIGN KEY (owner_id, thread_id)\n"
        "        REFERENCES chatkit_threads (owner_id, id) ON DELETE CASCADE\n",
        "    PRIMARY KEY (owner_id, thread_id, id)\n",
    ),
    Slip(
        "R14",
        "store.py",
        "                    return Page()\n                raise NotFoundError",
        "                    pass\n                raise NotFoundError",
    ),
    Slip(
        "R15",
        "lookup.py",
        '    if value is None or value == "":\n',
        '    if value is None or value == "":\n        return "default"\n    if value is None:\n',
    ),
    Slip(
        "R16",
        "statements.py",
        "SELECT id, data FROM chatkit_items WHERE owner_id = ? AND thread_id = ? AND id = ?",
        "SELECT id, data FROM chatkit_items WHERE owner_id = ? AND thread_id <> ? AND id = ?",
    ),
    Slip(
        "R17",
        "statements.py",
        "WHERE owner_id = ? AND thread_id = ?\nORDER BY created_at, position LIMIT ?",
        "WHERE owner_id = ? AND thread_id = ?\nORDER BY created_at, id DESC LIMIT ?",
    ),
    Slip(
        "R18",
        "statements.py",
        "AND (item.created_at, item.position) >= (cursor.created_at, +cursor.position)",
        "AND (item.id = cursor.id OR item.created_at > cursor.created_at)",
    ),
    Slip(
        "R19",
        "store.py",
        "after=rows[-1][0] if has_more else None",
        "after=rows[-1][0] if rows else None",
    ),
    Slip(
        "R20",
        "store.py",
        'raise NotFoundError(f"Item {after} not found")',
        "return Page()",
    ),
    Slip("R21", "store.py", "        if limit < 1:", "        if limit == 0:"),
    Slip(
        "R22",
        "migrations/0002_indexes.sql",
        "CREATE UNIQUE INDEX chatkit_items_page\n"
        "ON chatkit_items (owner_id, thread_id, created_at, position);",
        "",
    ),
    Slip(
        "R23",
        "database.py",
        "            return connection.execute(statement, bound).fetchall()",
        "            seen = self.__dict__.setdefault('seen', {})\n"
        "            if (key := (statement, *bound)) not in seen:\n"
        "                seen[key] = connection.execute(statement, bound).fetchall()\n"
        "            return list(seen[key])",
    ),
    Slip(
        "R24",
        "codec.py",
        "        return adapter.validate_json(payload)",
        "        return adapter.validate_json(payload.replace('Z\"', '\"'))",
    ),
    Slip(
        "R25",
        "codec.py",
        "return created_at.astimezone(UTC)",
        "return created_at.replace(tzinfo=UTC)",
    ),
    Slip(
        "R26",
        "codec.py",
        "= TypeAdapter(ThreadItem)",
        '= TypeAdapter(__import__("chatkit.types").types.AssistantMessageItem)',
    ),
    Slip(
        "R27",
        "codec.py",
        "    return _replace_escape(payload.decode(), _NUL, _PICTURE)",
        '    return _replace_escape(payload.decode(), _NUL, "")',
    ),
    Slip(
        "R28",
        "codec.py",
        'lossy = b"null" in payload and _has_non_finite(adapter, value)',
        "lossy = False",
    ),
    Slip(
        "R29",
        "store.py",
        '            logger.error("%s It is left out of the page.", error)',
        "            raise",
    ),
    Slip(
        "R30",
        "codec.py",
        'return adapter.dump_json(value, warnings="error")',
        'return adapter.dump_json(value, context={"exclude_metadata": True})',
    ),
    Slip("R31", "settle.py", "shield=True", "shield=False"),
    Slip(
        "R32",
        "database.py",
        "        return await self._wait(self._connections.submit_read(run))\n\n    def write(",
        "        return run(self._connections.connect())\n\n    def write(",
    ),
    Slip("R33", "database.py", "timeout=self._timeout)", "timeout=None)"),
    Slip("R34", "connections.py", "if retry and _is_broken(error):", "if False:"),
    Slip(
        "R35",
        "connections.py",
        '            self.connection.execute("COMMIT")\n',
        "            if all(type(r) is int for r in results):\n"
        "                _deliver([(j.future, r, None) for j, r in zip(batch, results)])\n"
        "                time.sleep(0.05)\n"
        '            self.connection.execute("COMMIT")\n',
    ),
    Slip("R36", "connections.py", "timeout=self._timeout,\n", "timeout=0,\n"),
    Slip(
        "R37",
        "database.py",
        "                return False\n            for statement in _split(migration.sql):",
        "                pass\n            for statement in _split(migration.sql):",
    ),
    Slip(
        "R38",
        "store.py",
        "self, limit: int, after: str | None,",
        "self, after: str | None, limit: int,",
    ),
    Slip(
        "R39",
        "codec.py",
        'raise ValueError(f"{name} cannot be stored: {_reason(error)}")',
        'raise ValueError(f"{name} cannot be stored: {value!r}")',
    ),
    Slip(
        "R40",
        "store.py",
        "        if not self._is_open:\n",
        "        if not self._database:\n",
    ),
]


# What depends on the database most: whether the suite can see it in each.
SLIPS_ON_SERVERS = [
    # Without the lock alone, an item slips in beside a deletion only now and then.
    Slip("R10", "statements.py", " AND thread.deleted_at IS NULL\nFOR SHARE", "", "postgresql"),
    Slip(
        "R17",
        "statements.py",
        "ORDER BY created_at, position LIMIT $3",
        "ORDER BY created_at, id DESC LIMIT $3",
        "postgresql",
    ),
    Slip(
        "R22",
        "migrations/0002_indexes.sql",
        "ON chatkit_items (owner_id, thread_id, created_at, position)",
        "ON chatkit_items (owner_id, thread_id, created_at)",
        "postgresql",
    ),
    Slip("R33", "connections.py", "max_size=self._size", "max_size=50", "postgresql"),
    Slip("R34", "database.py", "if not may_pass or", "if True or", "postgresql"),
    Slip(
        "R37",
        "database.py",
        "        if not is_locked:\n            return None\n        return await",
        "        return await",
        "postgresql",
    ),
    Slip("R10", "statements.py", " AND thread.deleted_at IS NULL\nLOCK IN SHARE MODE", "", "mysql"),
    Slip("R11", "migrations/0001_tables.sql", "VARBINARY(1020)", "VARCHAR(255)", "mysql"),
    Slip(
        "R17",
        "statements.py",
        "ORDER BY created_at, position LIMIT ?",
        "ORDER BY created_at, id DESC LIMIT ?",
        "mysql",
    ),
    Slip(
        "R22",
        "migrations/0002_indexes.sql",
        "ON chatkit_items (owner_id, thread_id, created_at, position)",
        "ON chatkit_items (owner_id, thread_id, created_at)",
        "mysql",
    ),
    Slip("R33", "connections.py", "Semaphore(self._size)", "Semaphore(50)", "mysql"),
    Slip("R34", "database.py", "if not may_pass or", "if True or", "mysql"),
]


@pytest.fixture(scope="module")
def rendered(
    template_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Render for a database, and the defaults otherwise, once."""
    directory = tmp_path_factory.mktemp("rendered")

    def give(database: str) -> Path:
        project = directory / database
        if not project.exists():
            render(template_files, project, {"store_database": database})
        return project

    return give


@pytest.mark.parametrize(
    "slip", [*SLIPS, *SLIPS_ON_SERVERS], ids=lambda slip: f"{slip.database}-{slip.rule}"
)
def test_the_suite_notices_a_broken_rule(
    slip: Slip, rendered: Callable[[str], Path], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(rendered(slip.database), project)
    file = project / "src/chat_store" / slip.file
    text = file.read_text(encoding="utf-8")
    assert slip.right in text, f"{slip.file} has changed: mend this slip"
    file.write_text(text.replace(slip.right, slip.wrong), encoding="utf-8")
    tests = [
        str(path)
        for path in (project / "tests").rglob("test_*.py")
        if f"def test_{slip.rule}_" in path.read_text(encoding="utf-8")
    ]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-k", slip.rule, *tests],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    give_up_without_server(run.stdout)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-2000:]
    assert f"::test_{slip.rule}_" in run.stdout.partition("short test summary")[2]


def test_every_rule_has_a_slip() -> None:
    assert [slip.rule for slip in SLIPS] == [f"R{number:02}" for number in range(1, 41)]
