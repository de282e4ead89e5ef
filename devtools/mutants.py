"""Realistic mistakes in the rendered Store, each of which the rendered suite has to catch.

A test that cannot fail proves nothing. Each mutant here breaks one rule of the Store's contract, and
names the test, named after that rule, that must then fail. `scripts/try_mutants.py` tries all of
them in every flavor; `docs/mutants.md` lists them.

Most edits have the same text in every flavor. Those of SQL are regular expressions where the
databases write the same thing alike, and are stated for each database where they do not.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from devtools.combinations import FLAVORS


@dataclass(frozen=True)
class Edit:
    """A change to a file of the rendered package: wherever one text stands, another one.

    Attributes:
        file: The file, below the package.
        right: What stands there, or a regular expression of it.
        wrong: What is to stand there instead; for a regular expression, with its groups.
        within: The constant of `statements.py` to change; without it, the whole file.
        only: The database, or the driver, whose renders are changed; without it, all of them.
    """

    file: str
    right: "str | re.Pattern[str]"
    wrong: str
    within: str = ""
    only: str = ""

    def is_for(self, flavor: str) -> bool:
        """Tell whether the renders of a flavor are changed."""
        return not self.only or self.only in FLAVORS[flavor].values()

    def apply(self, package: Path) -> None:
        """Change the file.

        Raises:
            LookupError: The text to change is not there.
        """
        path = package / self.file
        before, text, behind = _split(path.read_text("utf-8"), self.within)
        if isinstance(self.right, str):
            changed = text.replace(self.right, self.wrong)
        else:
            changed = self.right.sub(self.wrong, text)
        if changed == text:
            raise LookupError(f"{self.file} has changed: mend the mutant that edits it")
        path.write_text(f"{before}{changed}{behind}", encoding="utf-8")


@dataclass(frozen=True)
class Mutant:
    """A Store with a mistake.

    Attributes:
        test: The test that must fail.
        what: What is wrong.
        edits: The changes that make it.
    """

    test: str
    what: str
    edits: tuple[Edit, ...]

    @property
    def rule(self) -> str:
        """The rule that is broken."""
        return self.test.split("_")[1]

    def edits_for(self, flavor: str) -> list[Edit]:
        """Give the changes to the renders of a flavor; none where the mistake cannot be made."""
        return [edit for edit in self.edits if edit.is_for(flavor)]


def _split(text: str, within: str) -> tuple[str, str, str]:
    if not within:
        return "", text, ""
    start = text.find(f"\n{within} = ")
    if start < 0:
        raise LookupError(f"{within} is not there any more: mend the mutant that edits it")
    end = text.find("\n\n", start)
    return text[:start], text[start:end], text[end:]


def _mutant(test: str, what: str, *edits: Edit) -> Mutant:
    return Mutant(test, what, edits)


def _sql(statement: str, right: str, wrong: str, only: str = "") -> Edit:
    """Change a statement, where a regular expression matches."""
    return Edit("statements.py", re.compile(right, re.DOTALL), wrong, statement, only)


def _any(column: str, statement: str) -> Edit:
    """Make a statement take every row, whatever a parameter asks of a column."""
    return _sql(statement, rf"((?:\w+\.)?{column} = (?:\?|\$\d))", r"(\1 OR true)")


def _tables(right: str, wrong: str, only: str = "") -> Edit:
    """Change the definitions of the tables, where a regular expression matches."""
    return Edit("migrations/0001_tables.sql", re.compile(right), wrong, only=only)


# An upsert's new payload: in SQLite and PostgreSQL, and in MySQL.
_NEW_DATA = r"data = (?:excluded\.data|VALUES\(data\))"

_DUMP = 'return adapter.dump_json(value, warnings="error")'
_LOAD = "        return adapter.validate_json(text)\n    except ValidationError"

_READ = "        return await self._database.read(statement, params)\n"
_CACHED_READ = """\
        seen = self.__dict__.setdefault("_seen", {})
        if (key := (statement, *params)) not in seen:
            seen[key] = await self._database.read(statement, params)
        return list(seen[key])
"""
_WRITE = "        return await settle(self._database.write(*steps), self._write_timeout)\n"

_DELETION = """\
        await self._write(
            (statements.DELETE_THREAD, (now, owner, thread_id)),
            (statements.DELETE_THREAD_ITEMS, (owner, thread_id)),
            (statements.PURGE_THREADS, (now - TOMBSTONE_LIFETIME,)),
        )
"""

MUTANTS = [
    # --- threads and items
    _mutant(
        "test_R01_load_thread_returns_what_was_saved",
        "a thread loses its status",
        Edit("codec.py", _DUMP, _DUMP.replace("value,", 'value, exclude={"status"},')),
    ),
    _mutant(
        "test_R02_loading_what_is_absent_or_foreign_or_deleted_raises_not_found",
        "what is absent is a KeyError",
        Edit(
            "store.py",
            '        raise NotFoundError(f"{name} not found")\n    return rows[0][1]',
            "        raise KeyError(name)\n    return rows[0][1]",
        ),
    ),
    _mutant(
        "test_R02_loading_what_is_absent_or_foreign_or_deleted_raises_not_found",
        "the row of a deleted thread is loaded",
        _sql("LOAD_THREAD", " AND deleted_at IS NULL", ""),
    ),
    _mutant(
        "test_R03_save_thread_stores_only_the_metadata_of_a_thread_with_items",
        "the items of a thread are stored in its own row, too",
        Edit("codec.py", _DUMP, "return adapter.dump_json(value, serialize_as_any=True)"),
    ),
    _mutant(
        "test_R03_save_thread_inserts_and_then_updates",
        "saving a thread again changes nothing",
        _sql("SAVE_THREAD", r"ELSE excluded\.data", "ELSE data", "sqlite"),
        _sql("SAVE_THREAD", r"ELSE excluded\.data", "ELSE thread.data", "postgresql"),
        _sql("SAVE_THREAD", r"IS NULL THEN VALUES\(data\)", "IS NULL THEN data", "mysql"),
    ),
    _mutant(
        "test_R04_saving_a_thread_again_keeps_its_place_owner_and_items",
        "a thread that is saved again moves to its new created_at",
        _sql(
            "SAVE_THREAD",
            r"created_at = CASE\n[^,]*\n        ELSE (\S+)\n    END,",
            r"created_at = \1,",
        ),
    ),
    _mutant(
        "test_R04_saving_a_thread_again_keeps_its_place_owner_and_items",
        "a thread that is saved again moves behind those of the same time",
        _sql(
            "SAVE_THREAD",
            r"position = CASE\n[^,]*\n        ELSE (\S+)\n    END,",
            r"position = \1,",
        ),
    ),
    _mutant(
        "test_R04_saving_a_thread_again_keeps_its_place_owner_and_items",
        "saving a thread deletes and inserts its row, and the cascade wipes its items",
        Edit(
            "store.py",
            "        if not await self._write((statements.SAVE_THREAD, params)):\n",
            "        wipe = statements.DELETE_ATTACHMENT.replace('attachments', 'threads')\n"
            "        await self._write((wipe, (owner, thread.id)))\n"
            "        if not await self._write((statements.SAVE_THREAD, params)):\n",
        ),
    ),
    _mutant(
        "test_R04_saving_an_item_again_keeps_its_place_and_owner",
        "an item that is saved again moves to its new created_at",
        _sql(
            "SAVE_ITEM",
            r"data = (excluded\.|VALUES\()data(\)?)",
            r"data = \1data\2, created_at = \1created_at\2",
        ),
    ),
    _mutant(
        "test_R05_adding_an_item_again_updates_it_in_place",
        "an item that is added again moves behind those of the same time",
        _sql(
            "SAVE_ITEM",
            r"data = (excluded\.|VALUES\()data(\)?)",
            r"data = \1data\2, position = \1position\2",
        ),
    ),
    _mutant(
        "test_R05_adding_an_item_again_updates_it_in_place",
        "adding an item again changes nothing",
        _sql("SAVE_ITEM", _NEW_DATA, "data = chatkit_items.data"),
    ),
    _mutant(
        "test_R06_two_answers_under_the_placeholder_id_are_two_messages",
        "the placeholder id is stored as it is",
        Edit("store.py", "if item.id == PLACEHOLDER_ID:", "if not item.id:"),
    ),
    _mutant(
        "test_R06_each_item_with_the_placeholder_id_is_stored_under_its_own_id",
        "the placeholder id is replaced in the caller's own item",
        Edit("store.py", 'item = item.model_copy(update={"id": real_id})', "item.id = real_id"),
    ),
    _mutant(
        "test_R06_the_ids_are_minted_by_the_store_for_their_kind",
        "every item that has no id gets one of a message",
        Edit("keys.py", '_KINDS.get(item.type, "message")', '"message"'),
    ),
    _mutant(
        "test_R06_a_message_has_one_id_in_all_its_events",
        "a streamed message has another id when it is done",
        Edit("agents.py", 'streaming.pop(item.type, "") or mint(item)', "mint(item)"),
    ),
    _mutant(
        "test_R07_save_item_inserts_a_new_item_and_updates_it",
        "saving an item that is not there is an error",
        Edit(
            "store.py",
            "        await self.add_thread_item(thread_id, item, context)\n",
            "        await self.load_item(thread_id, item.id, context)\n"
            "        await self.add_thread_item(thread_id, item, context)\n",
        ),
    ),
    _mutant(
        "test_R07_save_item_inserts_a_new_item_and_updates_it",
        "saving an item that is not there does nothing",
        Edit(
            "store.py",
            "        await self.add_thread_item(thread_id, item, context)\n",
            "        try:\n"
            "            await self.load_item(thread_id, item.id, context)\n"
            "        except NotFoundError:\n"
            "            return\n"
            "        await self.add_thread_item(thread_id, item, context)\n",
        ),
    ),
    _mutant(
        "test_R08_an_item_for_a_thread_that_is_not_there_is_refused",
        "an item whose thread is not there is dropped without an error",
        Edit(
            "store.py",
            "if not await self._write((statements.SAVE_ITEM, params)):",
            "if await self._write((statements.SAVE_ITEM, params)) < 0:",
        ),
    ),
    _mutant(
        "test_R08_an_item_for_a_thread_that_is_not_there_is_refused",
        "the owner is missing where the thread of an item is looked up",
        _any("owner_id", "SAVE_ITEM"),
    ),
    _mutant(
        "test_R09_deleting_what_is_missing_or_foreign_changes_nothing",
        "deleting an item that is missing is an error",
        Edit(
            "store.py",
            "            await self._write((statements.DELETE_ITEM, (owner, thread_id, item_id)))\n",
            "            step = (statements.DELETE_ITEM, (owner, thread_id, item_id))\n"
            "            if not await self._write(step):\n"
            '                raise NotFoundError(f"Item {item_id} not found")\n',
        ),
    ),
    _mutant(
        "test_R09_deleting_what_is_missing_or_foreign_changes_nothing",
        "deleting a thread that is missing is an error",
        Edit(
            "store.py",
            _DELETION,
            _DELETION.replace("await", "changed = await")
            + "        if not changed:\n"
            + '            raise NotFoundError(f"Thread {thread_id} not found")\n',
        ),
    ),
    _mutant(
        "test_R09_deleting_what_is_missing_or_foreign_changes_nothing",
        "deleting an attachment that is missing is an error",
        Edit(
            "store.py",
            "            await self._write((statements.DELETE_ATTACHMENT, (owner, attachment_id)))\n",
            "            step = (statements.DELETE_ATTACHMENT, (owner, attachment_id))\n"
            "            if not await self._write(step):\n"
            '                raise NotFoundError(f"Attachment {attachment_id} not found")\n',
        ),
    ),
    _mutant(
        "test_R10_a_late_write_does_not_bring_a_deleted_thread_back",
        "a late save brings a deleted thread back",
        _sql(
            "SAVE_THREAD",
            r"\nWHERE [\w.]*deleted_at IS NULL\n    OR .*\n",
            "\nWHERE true\n",
            "sqlite",
        ),
        _sql(
            "SAVE_THREAD",
            r"\nWHERE [\w.]*deleted_at IS NULL\n    OR .*\n",
            "\nWHERE true\n",
            "postgresql",
        ),
        _sql("SAVE_THREAD", r"WHEN VALUES\(created_at\) > .*?\n +THEN", "ELSE", "mysql"),
    ),
    _mutant(
        "test_R10_a_save_as_old_as_any_of_the_deleted_thread_is_refused",
        "the newest save of a thread is forgotten when it is deleted",
        _sql("SAVE_THREAD", r"    newest_created_at = .*?\n    (?:END|\)),\n", ""),
    ),
    _mutant(
        "test_R10_a_late_write_does_not_bring_a_deleted_thread_back",
        "a late item joins a deleted thread",
        _sql("SAVE_ITEM", r" AND thread\.deleted_at IS NULL", ""),
    ),
    _mutant(
        "test_R10_an_item_waits_for_a_deletion_that_is_under_way_and_is_refused",
        "an item does not lock its thread, and misses a deletion that is under way",
        _sql("SAVE_ITEM", "\nFOR SHARE", "", "postgresql"),
        _sql("SAVE_ITEM", "\nLOCK IN SHARE MODE", "", "mysql"),
    ),
    _mutant(
        "test_R10_delete_thread_takes_its_items_and_nothing_else",
        "the items of a deleted thread stay",
        Edit("store.py", "            (statements.DELETE_THREAD_ITEMS, (owner, thread_id)),\n", ""),
    ),
    _mutant(
        "test_R10_delete_thread_takes_its_items_and_nothing_else",
        "the thread is missing where the items of a deleted thread go",
        _any("thread_id", "DELETE_THREAD_ITEMS"),
    ),
    _mutant(
        "test_R10_delete_thread_is_one_step",
        "a thread and its items are deleted in two transactions",
        Edit(
            "store.py",
            "            (statements.DELETE_THREAD, (now, owner, thread_id)),\n",
            "            (statements.DELETE_THREAD, (now, owner, thread_id)),\n"
            "        )\n"
            "        await self._write(\n",
        ),
    ),
    _mutant(
        "test_R10_a_late_write_does_not_bring_a_deleted_thread_back",
        "what is left of a deleted thread goes at once",
        Edit("store.py", "(now - TOMBSTONE_LIFETIME,)", "(now + TOMBSTONE_LIFETIME,)"),
    ),
    _mutant(
        "test_R10_what_is_left_of_a_deleted_thread_goes_after_its_lifetime",
        "what is left of a deleted thread stays for ever",
        Edit(
            "store.py", "            (statements.PURGE_THREADS, (now - TOMBSTONE_LIFETIME,)),\n", ""
        ),
    ),
    _mutant(
        "test_R10_delete_thread_takes_its_items_and_nothing_else",
        "a transaction of several statements is not committed",
        Edit("connections.py", "        await self.raw.commit()\n", "", only="mysql"),
        Edit(
            "database.py",
            "    async with connection.transaction():\n        return sum(",
            '    await connection.run("BEGIN")\n    if True:\n        return sum(',
            only="postgresql",
        ),
        Edit(
            "connections.py",
            "            async with raw:  # commits or rolls back\n",
            "            if True:\n",
            only="psycopg",
        ),
    ),
    _mutant(
        "test_R11_any_text_of_1_to_255_characters_is_an_id",
        "an id has at most 254 characters",
        Edit("keys.py", "MAX_KEY_LENGTH = 255", "MAX_KEY_LENGTH = 254"),
    ),
    _mutant(
        "test_R11_writing_under_any_other_id_raises_value_error",
        "U+0000 is not looked for in an id",
        Edit("keys.py", ' or "\\0" in text:', ":"),
    ),
    _mutant(
        "test_R11_any_other_id_is_not_found_and_its_deletion_ignored",
        "ids are loaded without a check that they can be keys",
        Edit(
            "store.py",
            "        if not all(is_key(param) for param in params if isinstance(param, str)):\n"
            "            return []\n",
            "",
        ),
    ),
    _mutant(
        "test_R11_any_text_of_1_to_255_characters_is_an_id",
        "the id of a thread is stripped of spaces",
        Edit("store.py", "params = (owner, thread.id,", "params = (owner, thread.id.strip(),"),
    ),
    _mutant(
        "test_R11_ids_that_look_alike_stay_apart",
        "ids are compared without regard to case, or to spaces at their end",
        _tables(r"\b(id|thread_id) TEXT", r"\1 TEXT COLLATE NOCASE", "sqlite"),
        _tables(r'\b(id|thread_id) text COLLATE "C"', r"\1 char(255)", "postgresql"),
        _tables(r"VARBINARY\(1020\)", "VARCHAR(255) CHARACTER SET utf8mb4", "mysql"),
    ),
    # --- owners
    *[
        _mutant(
            "test_R12_two_owners_see_their_own_rows_under_the_same_ids",
            f"the owner is missing where {what}",
            _any("owner_id", statement),
        )
        for what, statement in [
            ("a thread is loaded", "LOAD_THREAD"),
            ("an item is loaded", "LOAD_ITEM"),
            ("an attachment is loaded", "LOAD_ATTACHMENT"),
            ("the first page of items is loaded", "FIRST_ITEMS"),
            ("the next page of items is loaded", "NEXT_ITEMS"),
            ("the first page of threads is loaded", "FIRST_THREADS"),
            ("the next page of threads is loaded", "NEXT_THREADS"),
        ]
    ],
    *[
        _mutant(
            "test_R12_no_write_of_one_owner_touches_the_other",
            f"the owner is missing where {what}",
            _any("owner_id", statement),
        )
        for what, statement in [
            ("a thread is deleted", "DELETE_THREAD"),
            ("the items of a deleted thread go", "DELETE_THREAD_ITEMS"),
            ("an item is deleted", "DELETE_ITEM"),
            ("an attachment is deleted", "DELETE_ATTACHMENT"),
        ]
    ],
    _mutant(
        "test_R13_the_database_refuses_an_item_for_another_owners_thread",
        "the tables do not tie an item to its thread",
        _tables(r",\n    FOREIGN KEY .*\n.* ON DELETE CASCADE\n", "\n"),
    ),
    _mutant(
        "test_R14_the_items_of_a_thread_that_is_not_there_are_an_empty_page",
        "a cursor in a thread that is not there is an error",
        Edit(
            "store.py",
            "                if not await self._read(statements.LOAD_THREAD, scope):\n"
            "                    return Page()\n",
            "",
        ),
    ),
    _mutant(
        "test_R14_the_items_of_a_thread_that_is_not_there_are_an_empty_page",
        "the first page of a thread that is not there is an error",
        Edit(
            "store.py",
            "            rows = await self._read(statements.FIRST_ITEMS[order], (*scope, limit + 1))\n",
            "            await self.load_thread(thread_id, context)\n"
            "            rows = await self._read(statements.FIRST_ITEMS[order], (*scope, limit + 1))\n",
        ),
    ),
    _mutant(
        "test_R15_nobody_can_save_anything",
        "requests without an owner share one",
        Edit(
            "lookup.py",
            '    if value is None or value == "":\n',
            '    if value is None or value == "":\n        return "default"\n    if value is None:\n',
        ),
    ),
    _mutant(
        "test_R15_the_owner_is_read_by_attribute_or_key_whatever_the_class",
        "the owner is read by attribute only",
        Edit("lookup.py", "        return value[name]\n", "        return None\n"),
        Edit("lookup.py", "    if isinstance(value, Mapping):\n", "    if value is Mapping:\n"),
    ),
    _mutant(
        "test_R15_no_other_type_is_an_owner",
        "a value of any type is an owner",
        Edit(
            "lookup.py",
            "if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):",
            "if value is Mapping:",
        ),
    ),
    _mutant(
        "test_R16_two_threads_have_items_of_their_own_under_the_same_id",
        "the thread is missing where an item is loaded",
        _any("thread_id", "LOAD_ITEM"),
    ),
    _mutant(
        "test_R16_two_threads_have_items_of_their_own_under_the_same_id",
        "the thread is missing where an item is deleted",
        _any("thread_id", "DELETE_ITEM"),
    ),
    # --- paging
    _mutant(
        "test_R17_rows_are_ordered_by_created_at_and_then_by_insertion",
        "ties of items are broken by id",
        _sql("FIRST_ITEMS", "ORDER BY created_at, position", "ORDER BY created_at, id"),
    ),
    _mutant(
        "test_R17_rows_are_ordered_by_created_at_and_then_by_insertion",
        "ties of items are in the same order in desc as in asc",
        _sql("FIRST_ITEMS", "position DESC", "position"),
    ),
    _mutant(
        "test_R17_rows_are_ordered_by_created_at_and_then_by_insertion",
        "threads are ordered by id",
        _sql("FIRST_THREADS", "ORDER BY created_at, position", "ORDER BY id"),
    ),
    _mutant(
        "test_R17_ties_stay_in_order_when_some_are_deleted",
        "the place of an item is the number of those that are there",
        _sql("SAVE_ITEM", r"coalesce\(max\(tied\.position\) \+ 1, 0\)", "count(*)", "sqlite"),
    ),
    _mutant(
        "test_R18_following_after_returns_every_row_exactly_once",
        "the next page drops items of the cursor's time",
        _sql(
            "NEXT_ITEMS",
            r"\(item\.created_at, item\.position\) ([<>])= \(cursor\.created_at, \+cursor\.position\)",
            r"(item.id = cursor.id OR item.created_at \1 cursor.created_at)",
            "sqlite",
        ),
        _sql(
            "NEXT_ITEMS",
            r"\(created_at, position\) ([<>])= \((.*?), cursor\.position(.*?)\n\)",
            r"(id = $3 OR created_at \1 (\2\3\n))",
            "postgresql",
        ),
        _sql(
            "NEXT_ITEMS", r"item\.position [<>]= origin\.position", "item.id = origin.id", "mysql"
        ),
    ),
    _mutant(
        "test_R18_following_after_returns_every_row_exactly_once",
        "the cursor of threads is compared by its time alone",
        _sql(
            "NEXT_THREADS",
            r"\(thread\.created_at, thread\.position\) ([<>])= \(cursor\.created_at, \+cursor\.position\)",
            r"thread.created_at \1= cursor.created_at",
            "sqlite",
        ),
        _sql(
            "NEXT_THREADS",
            r"\(created_at, position\) ([<>])= \((.*?), cursor\.position",
            r"created_at \1= (\2",
            "postgresql",
        ),
        _sql("NEXT_THREADS", r" AND thread\.position [<>]= origin\.position", "", "mysql"),
    ),
    _mutant(
        "test_R18_following_after_returns_every_row_exactly_once",
        "the cursor of items is compared with >=, and given again",
        Edit(
            "store.py",
            "            del rows[0]  # the item `after` itself, which proves that it exists\n",
            "",
        ),
    ),
    _mutant(
        "test_R18_following_after_returns_every_row_exactly_once",
        "the cursor of threads is compared with >=, and given again",
        Edit("store.py", "            del rows[0]\n", ""),
    ),
    _mutant(
        "test_R18_rows_that_were_saved_at_once_are_returned_exactly_once",
        "the place of an item is one more than the last, without a lock",
        *(
            _sql(
                "SAVE_ITEM",
                r"created_at, data\)\n(SELECT .*?)\s+FROM",
                r"created_at, data, position)\n\1, (\n"
                "    SELECT coalesce(max(tied.position) + 1, 0) FROM chatkit_items AS tied\n"
                "    WHERE tied.owner_id = thread.owner_id AND tied.thread_id = thread.id\n"
                f") + {wait}\nFROM",  # or it takes luck to see it
                database,
            )
            for database, wait in [
                ("postgresql", "(SELECT 0 FROM pg_sleep(0.005))"),
                ("mysql", "sleep(0.005)"),
            ]
        ),
    ),
    _mutant(
        "test_R19_has_more_is_exact_and_after_is_the_last_row_of_the_page",
        "every page has a cursor, also the last one",
        Edit(
            "store.py",
            "after=rows[-1][0] if has_more else None",
            "after=rows[-1][0] if rows else None",
        ),
    ),
    _mutant(
        "test_R19_has_more_is_exact_and_after_is_the_last_row_of_the_page",
        "a page that is full is taken not to be the last one",
        Edit("store.py", "has_more = len(rows) > limit", "has_more = len(rows) >= limit"),
    ),
    _mutant(
        "test_R19_after_is_the_last_row_of_the_page_although_it_cannot_be_read",
        "the cursor is the last row that can be read",
        Edit(
            "store.py",
            "after=rows[-1][0] if has_more else None",
            "after=data[-1].id if has_more and data else None",
        ),
    ),
    _mutant(
        "test_R20_an_after_that_is_not_ones_own_raises_not_found",
        "a cursor of items that is not there makes an empty page",
        Edit("store.py", 'raise NotFoundError(f"Item {after} not found")', "return Page()"),
    ),
    _mutant(
        "test_R20_an_after_that_is_not_ones_own_raises_not_found",
        "a cursor of threads that is not there begins again at the first page",
        Edit(
            "store.py",
            'raise NotFoundError(f"Thread {after} not found")',
            "return await self.load_threads(limit, None, order, context)",
        ),
    ),
    _mutant(
        "test_R20_an_after_that_is_not_ones_own_raises_not_found",
        "a deleted thread is still a cursor",
        _sql("NEXT_THREADS", r" AND (?:cursor|origin)\.deleted_at IS NULL", ""),
    ),
    _mutant(
        "test_R21_bad_orders_and_limits_are_refused_before_the_database_is_asked",
        "a limit below zero is not refused",
        Edit("store.py", "        if limit < 1:", "        if limit == 0:"),
    ),
    _mutant(
        "test_R21_bad_orders_and_limits_are_refused_before_the_database_is_asked",
        "any other order is taken for desc",
        Edit(
            "store.py",
            """            raise ValueError(f"order must be 'asc' or 'desc', not {order!r}")\n""",
            '            order = "desc"\n',
        ),
        Edit("store.py", "[order]", '[order if order == "asc" else "desc"]'),
    ),
    _mutant(
        "test_R21_a_page_is_cut_to_the_configured_size_and_the_log_says_so",
        "a limit is not cut",
        Edit("store.py", "return min(limit, self._max_page_size)", "return limit"),
    ),
    _mutant(
        "test_R21_a_page_has_up_to_a_thousand_rows_unless_configured_otherwise",
        "a page has at most 100 rows unless configured otherwise",
        Edit("store.py", "max_page_size: int = 1000", "max_page_size: int = 100"),
    ),
    _mutant(
        "test_R22_a_page_is_a_range_of_an_index_however_many_rows_there_are",
        "the index of items lacks their position",
        Edit(
            "migrations/0002_indexes.sql",
            re.compile(
                r"(?:UNIQUE )?(INDEX chatkit_items_page\n.*\(owner_id, thread_id, created_at), position"
            ),
            r"\1",
        ),
    ),
    _mutant(
        "test_R22_a_page_is_a_range_of_an_index_however_many_rows_there_are",
        "the index of threads has only the owner",
        Edit(
            "migrations/0002_indexes.sql",
            re.compile(r"(?:UNIQUE )?(INDEX chatkit_threads_page\n.*\(owner_id), [^)]*"),
            r"\1",
        ),
    ),
    _mutant(
        "test_R22_a_call_sends_as_few_statements_as_it_ever_did",
        "the thread is looked up before each page of its items",
        Edit(
            "store.py",
            "        scope = (owner, thread_id)\n",
            "        scope = (owner, thread_id)\n"
            "        if not await self._read(statements.LOAD_THREAD, scope):\n"
            "            return Page()\n",
        ),
    ),
    _mutant(
        "test_R22_a_page_reads_hardly_more_rows_than_it_has",
        "the first page of items is cut out of the whole thread",
        Edit("store.py", "(*scope, limit + 1)", "(*scope, 10**9)"),
    ),
    _mutant(
        "test_R23_a_read_in_the_same_process_sees_every_write_before_it",
        "reads are answered from a cache",
        Edit("store.py", _READ, _CACHED_READ),
    ),
    _mutant(
        "test_R23_a_read_in_the_same_process_sees_every_write_before_it",
        "reads are answered from a cache that only the Store's own writes empty",
        Edit("store.py", _READ, _CACHED_READ),
        Edit("store.py", _WRITE, '        self.__dict__.pop("_seen", None)\n' + _WRITE),
    ),
    # --- time
    _mutant(
        "test_R24_created_at_comes_back_as_it_was_saved",
        "an aware time comes back naive",
        Edit("codec.py", _LOAD, _LOAD.replace("text", "text.replace('Z\"', '\"')")),
    ),
    _mutant(
        "test_R24_created_at_comes_back_as_it_was_saved",
        "a naive time comes back aware",
        Edit(
            "codec.py",
            _LOAD,
            _LOAD.replace("text", r"""re.sub(r'(T\d\d:\d\d:[\d.]+)"', r'\1Z"', text)"""),
        ),
    ),
    _mutant(
        "test_R24_created_at_comes_back_as_it_was_saved",
        "times lose their microseconds",
        Edit(
            "codec.py",
            _LOAD,
            _LOAD.replace("text", r"re.sub(r'(T\d\d:\d\d:\d\d\.\d\d\d)\d+', r'\1', text)"),
        ),
    ),
    _mutant(
        "test_R25_a_naive_time_is_local_time_and_sorts_among_aware_ones",
        "a naive time is taken for UTC",
        Edit("codec.py", "created_at.astimezone(UTC)", "created_at.replace(tzinfo=UTC)"),
    ),
    _mutant(
        "test_R25_the_time_zone_of_the_databases_session_changes_nothing",
        "the sort key is a time without a zone, to which the session adds its own",
        Edit(
            "codec.py",
            "created_at.astimezone(UTC)",
            "created_at.astimezone(UTC).replace(tzinfo=None)",
            only="psycopg",
        ),
    ),
    _mutant(
        "test_R25_naive_times_saved_by_processes_in_different_zones_are_in_order",
        "the sort key is a time without a zone, to which the driver adds the process's",
        Edit(
            "codec.py",
            "created_at.astimezone(UTC)",
            "created_at.astimezone(UTC).replace(tzinfo=None)",
            only="asyncpg",
        ),
    ),
    # --- data
    _mutant(
        "test_R26_every_item_type_of_the_installed_sdk_comes_back_equal",
        "a union of item types is written by hand",
        Edit(
            "codec.py",
            "ITEM: TypeAdapter[ThreadItem] = TypeAdapter(\n    ThreadItem,",
            "from chatkit.types import AssistantMessageItem, UserMessageItem\n"
            "ITEM = TypeAdapter(\n    UserMessageItem | AssistantMessageItem,",
        ),
    ),
    _mutant(
        "test_R26_a_field_assigned_a_value_of_another_type_is_stored_as_json",
        "a value of another type than its field's is refused",
        Edit("codec.py", 'adapter.dump_json(value, warnings="none")', "_refuse(str(value))"),
    ),
    _mutant(
        "test_R26_none_in_a_free_form_field_becomes_null",
        "a field that is None is left out, also of a model in a free-form field",
        Edit("codec.py", _DUMP, _DUMP.replace("value,", "value, exclude_none=True,")),
    ),
    _mutant(
        "test_R27_text_comes_back_to_the_last_character",
        "U+0000 is stripped",
        Edit(
            "codec.py",
            "_STAND_IN if found[0] == _NUL",
            '"" if found[0] == _NUL',
        ),
    ),
    _mutant(
        "test_R27_no_row_makes_a_query_of_the_databases_own_json_fail",
        "U+0000 is stored as it stands in JSON",
        Edit("codec.py", "    if _NUL not in text:\n", "    if True:\n", only="postgresql"),
    ),
    _mutant(
        "test_R27_no_row_makes_a_query_of_the_databases_own_json_fail",
        "an escaped backslash before u0000 is not told from an escape",
        *(
            Edit(
                "codec.py",
                "return _ESCAPE.sub(lambda found: _STAND_IN if found[0] == _NUL else found[0], text)",
                "return text.replace(_NUL, _STAND_IN)",
                only=database,
            )
            for database in ("sqlite", "postgresql")  # the JSON of others is not as strict
        ),
    ),
    _mutant(
        "test_R27_text_comes_back_to_the_last_character",
        "a real U+FFFD is read back as U+0000",
        Edit(
            "codec.py", "        text = text.replace(_STAND_IN, _REAL_STAND_IN)\n", "        pass\n"
        ),
    ),
    _mutant(
        "test_R27_nesting_comes_back_as_deep_as_the_serializer_writes",
        "what is nested deeper than validate_json reads is unreadable",
        Edit("codec.py", '    if kinds == {"json_invalid"}:\n', "    if not kinds:\n"),
    ),
    _mutant(
        "test_R27_text_comes_back_to_the_last_character",
        "payloads are of the type jsonb",
        Edit("statements.py", "::json", "::jsonb", only="postgresql"),
        _tables(r"data json\b", "data jsonb", "postgresql"),
    ),
    _mutant(
        "test_R27_nesting_comes_back_as_deep_as_the_serializer_writes",
        "payloads are of the type JSON",
        _tables("LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "JSON", "mysql"),
    ),
    _mutant(
        "test_R27_text_comes_back_to_the_last_character",
        "payloads have at most 64 KB",
        _tables("LONGTEXT", "TEXT", "mysql"),
    ),
    _mutant(
        "test_R27_text_comes_back_to_the_last_character",
        "payloads hold no character beyond U+FFFF",
        _tables("CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "CHARACTER SET utf8mb3", "mysql"),
    ),
    _mutant(
        "test_R28_what_is_not_json_is_refused_by_name_and_nothing_is_stored",
        "NaN becomes null",
        Edit(
            "codec.py",
            'lossy = b"null" in payload and _has_non_finite(adapter, value)',
            "lossy = False",
        ),
    ),
    _mutant(
        "test_R28_an_integer_that_could_not_be_read_again_is_refused",
        "an integer that Python does not read again is stored",
        Edit("codec.py", "    if _may_have_long_integer(payload)", "    if not payload"),
    ),
    _mutant(
        "test_R28_a_field_that_would_not_validate_is_refused",
        "a field that will not validate is stored",
        Edit(
            "codec.py",
            "    adapter.validate_json(payload)\n    return payload\n",
            "    return payload\n",
        ),
    ),
    _mutant(
        "test_R29_paging_goes_past_rows_that_do_not_validate",
        "a row that cannot be read spoils its page",
        Edit(
            "codec.py",
            '            logger.error("%s It is left out of the page.", error)\n',
            "            raise\n",
        ),
    ),
    _mutant(
        "test_R29_a_row_left_out_is_logged_as_an_error_with_its_id_only",
        "a row that cannot be read is left out without a word",
        Edit(
            "codec.py",
            '            logger.error("%s It is left out of the page.", error)\n',
            "            continue\n",
        ),
    ),
    _mutant(
        "test_R29_loading_a_row_that_does_not_validate_says_so",
        "a row that cannot be read is not found when it is loaded",
        Edit(
            "errors.py",
            '"""The errors of this package.\n',
            '"""The errors of this package."""\n\nfrom chatkit.store import NotFoundError\n\n_ = """\n',
        ),
        Edit(
            "errors.py",
            "class UnreadableError(ChatStoreError):",
            "class UnreadableError(ChatStoreError, NotFoundError):",
        ),
    ),
    _mutant(
        "test_R30_an_attachment_keeps_metadata_upload_descriptor_and_thread_id",
        "an attachment's metadata is left out, as it is from responses",
        Edit(
            "codec.py", _DUMP, _DUMP.replace("value,", 'value, context={"exclude_metadata": True},')
        ),
    ),
    _mutant(
        "test_R30_save_attachment_is_an_upsert",
        "saving an attachment again changes nothing",
        _sql("SAVE_ATTACHMENT", _NEW_DATA, "data = chatkit_attachments.data"),
    ),
    _mutant(
        "test_R30_save_attachment_never_crosses_owners",
        "attachments of all owners share one key, so that an upload replaces another's",
        _tables(r"PRIMARY KEY \(owner_id, id\)\n\)", "PRIMARY KEY (id)\n)"),
        Edit(
            "statements.py",
            "ON CONFLICT (owner_id, id)",
            "ON CONFLICT (id)",
            "SAVE_ATTACHMENT",
            "sqlite",
        ),
        Edit(
            "statements.py",
            "ON CONFLICT (owner_id, id)",
            "ON CONFLICT (id)",
            "SAVE_ATTACHMENT",
            "postgresql",
        ),
    ),
    # --- running
    _mutant(
        "test_R31_a_write_in_a_cancelled_scope_returns_and_the_next_checkpoint_raises",
        "a write is not shielded from an anyio scope",
        Edit("settle.py", "shield=True", "shield=False"),
    ),
    _mutant(
        "test_R31_a_write_finishes_although_its_task_is_cancelled",
        "a write is cancelled with its caller",
        Edit("store.py", _WRITE, "        return await self._database.write(*steps)\n"),
    ),
    _mutant(
        "test_R31_a_write_finishes_although_its_task_is_cancelled",
        "a cancellation is swallowed",
        Edit("settle.py", "                cancellation = error\n", "                del error\n"),
    ),
    _mutant(
        "test_R31_a_write_that_fails_after_its_task_was_cancelled_is_logged",
        "nobody hears of a write that failed after its caller had gone",
        Edit("settle.py", "        write.add_done_callback(_log_failure)\n", ""),
    ),
    _mutant(
        "test_R32_no_file_is_opened_for_a_row_that_does_not_validate",
        "the SDK's version is read from a file for each row that cannot be read",
        Edit(
            "codec.py", "but {_SDK} cannot", "but openai-chatkit {version('openai-chatkit')} cannot"
        ),
    ),
    _mutant(
        "test_R32_the_loop_goes_on_while_the_database_answers_nobody",
        "reads run on the thread of the event loop",
        Edit(
            "database.py",
            "        return await self._wait(self._connections.submit_read(run))\n\n    def write(",
            "        return run(self._connections.connect())\n\n    def write(",
            only="sqlite",
        ),
    ),
    _mutant(
        "test_R33_the_pool_is_bounded",
        "the pool is not bounded",
        Edit(
            "connections.py",
            re.compile(r"(max_size=|Turns\()self\._size"),
            r"\g<1>50",
            only="postgresql",
        ),
        Edit("connections.py", "Turns(self._size)", "Turns(50)", only="mysql"),
    ),
    _mutant(
        "test_R33_connections_come_back_after_errors",
        "a connection is not given back after an error",
        Edit(
            "connections.py",
            "            finally:\n                turns.end()\n",
            "            except psycopg.OperationalError:\n                turns.end()\n",
            only="psycopg",
        ),
        Edit(
            "connections.py",
            "        except BaseException:\n            # asyncpg",
            "        except OSError:\n            # asyncpg",
            only="asyncpg",
        ),
        Edit(
            "connections.py",
            "            turns.end()\n",
            "            if connection.raw.connected:\n                turns.end()\n",
            only="mysql",
        ),
    ),
    _mutant(
        "test_R33_callers_of_an_exhausted_pool_get_an_error_in_time",
        "a time-out never comes",
        Edit("timers.py", "            ring()\n", "            pass\n"),
    ),
    _mutant(
        "test_R33_a_call_that_took_too_long_leaves_its_caller_as_it_was",
        "a caller counts as cancelled once a call of its took too long",
        Edit(
            "waiting.py",
            "            _take_back_cancellation(self._task)\n",
            "            pass\n",
            only="mysql",
        ),
    ),
    _mutant(
        "test_R33_callers_of_an_exhausted_pool_get_an_error_in_time",
        "a call that has waited too long is answered with another error",
        Edit(
            "database.py",
            '            raise DatabaseTimeoutError(\n                f"No connection became free',
            '            raise OSError(\n                f"No connection became free',
            only="sqlite",
        ),
    ),
    _mutant(
        "test_R34_a_call_succeeds_although_its_connection_has_died",
        "a call is not tried again when its connection has died",
        Edit("connections.py", "if retry and _is_broken(error):", "if False:", only="sqlite"),
        Edit("database.py", "if not may_pass or", "if True or", only="postgresql"),
        Edit("database.py", "if not may_pass or", "if True or", only="mysql"),
    ),
    _mutant(
        "test_R34_a_write_that_meets_a_deadlock_is_made_once_more",
        "a write is not tried again after a deadlock",
        Edit("database.py", '_CONFLICT = ("40001", "40P01")', "_CONFLICT = ()", only="postgresql"),
        Edit("database.py", "_CONFLICT = {1020, 1205, 1213}", "_CONFLICT = set()", only="mysql"),
    ),
    _mutant(
        "test_R35_what_was_acknowledged_survives_kill_9",
        "a write is acknowledged before it is made",
        Edit(
            "store.py",
            _WRITE,
            "        asyncio.ensure_future(self._database.write(*steps))\n        return 1\n",
        ),
    ),
    _mutant(
        "test_R35_what_was_acknowledged_survives_kill_9",
        "a write is acknowledged before it is committed",
        Edit(
            "connections.py",
            '            self.connection.execute("COMMIT")\n',
            "            if all(type(result) is int for result in results):\n"
            "                self._deliver([(c.future, r, None) for c, r in zip(batch, results)])\n"
            "                time.sleep(0.02)\n"
            '            self.connection.execute("COMMIT")\n',
            only="sqlite",
        ),
    ),
    _mutant(
        "test_R35_a_commit_is_on_disk_before_it_is_acknowledged",
        "what is committed need not be on disk",
        Edit("connections.py", "{self._synchronous}", "OFF", only="sqlite"),
        _tables(
            "CREATE TABLE chatkit_attachments",
            "CREATE UNLOGGED TABLE chatkit_attachments",
            "postgresql",
        ),
        Edit("statements.py", "InnoDB", "MyISAM", "CREATE_MIGRATIONS", "mysql"),
    ),
    _mutant(
        "test_R36_writers_of_the_same_item_leave_one_of_their_versions",
        "an item is looked for, and inserted if it is not there",
        Edit(
            "store.py",
            "        if not await self._write((statements.SAVE_ITEM, params)):\n",
            "        statement = statements.SAVE_ITEM\n"
            "        if not await self._read(statements.LOAD_ITEM, (owner, thread_id, item.id)):\n"
            '            statement = statement.partition("\\nON ")[0]\n'
            "        if not await self._write((statement, params)):\n",
        ),
    ),
    _mutant(
        "test_R36_writers_in_one_process_lose_and_duplicate_nothing",
        "a write does not wait for another process that is writing",
        Edit("connections.py", "timeout=self._timeout,\n", "timeout=0,\n", only="sqlite"),
    ),
    _mutant(
        "test_R36_a_write_that_fails_takes_no_other_with_it",
        "a write that fails takes those with it that were made together with it",
        Edit(
            "connections.py",
            "if len(batch) > 1 and not _is_locked(error):",
            "if False:",
            only="sqlite",
        ),
        # So that they are made together, each time.
        Edit(
            "connections.py",
            "        batch = self._ready.get() or []\n",
            "        batch = self._ready.get() or []\n        time.sleep(0.1)\n",
            only="sqlite",
        ),
    ),
    _mutant(
        "test_R37_stores_that_open_at_once_migrate_exactly_once",
        "a migration that was applied meanwhile is applied again",
        Edit(
            "database.py",
            "                return False\n            for statement in _split",
            "                pass\n            for statement in _split",
            only="sqlite",
        ),
        Edit(
            "database.py",
            "        return False\n    for script in scripts",
            "        pass\n    for script in scripts",
            only="postgresql",
        ),
        # So that all have looked before the first applies it.
        *(
            Edit(
                "migrate.py",
                "        if await database.apply(migration):\n",
                "        await asyncio.sleep(0.5)\n        if await database.apply(migration):\n",
                only=database,
            )
            for database in ("sqlite", "postgresql")
        ),
    ),
    _mutant(
        "test_R37_tables_that_are_too_old_are_refused_with_what_to_run",
        "tables that are too old are not refused",
        Edit("migrate.py", "        if self.pending:\n", "        if self.known < 0:\n"),
    ),
    _mutant(
        "test_R37_tables_that_are_too_new_are_refused",
        "tables that are too new are not refused",
        Edit(
            "migrate.py",
            "        if self.runs_with > self.known:\n",
            "        if self.known < 0:\n",
        ),
    ),
    _mutant(
        "test_R37_newer_tables_that_still_serve_this_code_are_accepted",
        "all newer tables are refused, also those that still serve this code",
        Edit(
            "migrate.py",
            "        if self.runs_with > self.known:\n",
            "        if self.applied > self.known:\n",
        ),
    ),
    _mutant(
        "test_R38_every_method_has_the_signature_of_the_sdk",
        "the parameters of load_threads are in another order",
        Edit(
            "store.py",
            "self, limit: int, after: str | None,",
            "self, after: str | None, limit: int,",
        ),
    ),
    _mutant(
        "test_R39_errors_and_logs_never_contain_what_users_wrote",
        "an error shows the value that cannot be stored",
        Edit(
            "codec.py",
            "{name} cannot be stored: {_reason(error)}",
            "{name} cannot be stored: {value!r}",
        ),
    ),
    _mutant(
        "test_R29_loading_a_row_that_does_not_validate_says_so",
        "an error shows the row that cannot be read",
        Edit(
            "codec.py", "    _unreadable(name, kinds)\n", "    _unreadable(name + payload, kinds)\n"
        ),
    ),
    _mutant(
        "test_R28_a_field_that_would_not_validate_is_refused",
        "an error carries the one that it was made of",
        Edit("codec.py", '{_reason(error)}") from None', '{_reason(error)}")'),
    ),
    _mutant(
        "test_R39_the_password_of_the_url_is_never_printed",
        "an error shows the URL, with its password",
        Edit("urls.py", "{parts.scheme!r} URL", "{url!r}"),
    ),
    _mutant(
        "test_R40_using_it_before_opening_or_after_closing_says_so",
        "nothing says that a Store is not open",
        Edit("store.py", "        if not self._is_open:\n", "        if not self._database:\n"),
    ),
    _mutant(
        "test_R40_close_waits_for_writes_in_flight",
        "closing does not wait for writes",
        Edit(
            "database.py",
            "await asyncio.to_thread(self._connections.close)",
            "asyncio.get_running_loop().run_in_executor(None, self._connections.close)",
            only="sqlite",
        ),
        Edit(
            "database.py",
            "        while self._writes:\n            await asyncio.wait(self._writes)\n",
            "",
            only="postgresql",
        ),
        Edit(
            "database.py",
            "        while self._writes:\n            await asyncio.wait(self._writes)\n",
            "",
            only="mysql",
        ),
    ),
    _mutant(
        "test_R40_the_block_closes_the_store_when_it_ends_with_an_error",
        "a block that ends with an error leaves the Store open",
        Edit(
            "store.py",
            "    ) -> None:\n        await self.close()\n",
            "    ) -> None:\n        if exc is None:\n            await self.close()\n",
        ),
    ),
]


def document() -> str:
    """Write the text of `docs/mutants.md`."""
    return "\n".join([_HEAD, *map(_row, sorted(MUTANTS, key=lambda mutant: mutant.rule)), ""])


def _row(mutant: Mutant) -> str:
    made = [flavor for flavor in FLAVORS if mutant.edits_for(flavor)]
    where = "every flavor" if len(made) == len(FLAVORS) else ", ".join(made)
    return f"| {mutant.rule} | {mutant.what} | {where} | `{mutant.test}` |"


_HEAD = """\
# Mutants

Each row is a realistic mistake in the rendered Store, and the test of the rendered suite that catches
it. `make mutants` makes each of them, in every flavor where it can be made, and runs that test: where
it passes, CI fails.

`python -m scripts.try_mutants --write` writes this file; the mutants are in `devtools/mutants.py`.

| rule | what is wrong | made in | caught by |
|---|---|---|---|"""
