"""Running: R31 to R40 of the Store's contract."""

import asyncio
import inspect
import logging
import math
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_fixtures import MIGRATIONS, PACKAGE, Command, applied
from chat_store_processes import processes
from chat_store_tools import (
    CALLS,
    SECRET,
    WRITES,
    a_message,
    a_note,
    a_thread,
    an_attachment,
    async_test,
    count_rows,
    eventually,
    finish,
    run_async,
    save_one_of_each,
    stored_rows,
    walk,
)
from chat_store_under_test import (
    ChatStore,
    ChatStoreError,
    DatabaseError,
    DatabaseTimeoutError,
    RequestContext,
    SchemaError,
    StoreClosedError,
    migrate,
)
from chatkit.store import NotFoundError, Store

# --- R31: a write finishes although its caller is cancelled


@pytest.mark.parametrize("method", WRITES)
@async_test
async def test_R31_a_write_finishes_although_its_task_is_cancelled(
    store: ChatStore, alice: RequestContext, probe: Probe, method: str
) -> None:
    await save_one_of_each(store, alice, "before")
    before = stored_rows(probe)
    with probe.locked():
        call = asyncio.ensure_future(WRITES[method](store, alice))
        await asyncio.sleep(0)  # lets the call begin, and no more
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0.01)
        assert not call.done()
    with pytest.raises(asyncio.CancelledError):
        await finish(call)
    assert stored_rows(probe) != before


@async_test
async def test_R31_writes_in_a_cancelled_scope_succeed_and_the_next_checkpoint_raises(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    scope = anyio.CancelScope()
    reached: list[str] = []

    async def stop_in_mid_answer() -> None:
        with scope:
            await store.add_thread_item("thr_1", a_message("msg_1"), alice)
            await store.add_thread_item("thr_1", a_note("cancelled", "hid_1"), alice)
            reached.append("end of the writes")
            await anyio.lowlevel.checkpoint()
            reached.append("more")

    with probe.locked():
        call = asyncio.ensure_future(stop_in_mid_answer())
        await asyncio.sleep(0.01)
        scope.cancel()
        await asyncio.sleep(0.01)
        assert not call.done()
    await finish(call)
    assert reached == ["end of the writes"]
    assert [item.id for item in await walk(store, alice)] == ["msg_1", "hid_1"]


@async_test
async def test_R31_a_write_that_fails_after_its_task_was_cancelled_is_logged(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await store.save_thread(a_thread(), alice)
    probe.refuse_items()
    item = a_message(text=SECRET)
    call = asyncio.ensure_future(store.add_thread_item("thr_1", item, alice))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finish(call)

    def levels() -> list[int]:
        ours = [it for it in caplog.records if it.name.startswith(PACKAGE)]
        return [record.levelno for record in ours]

    await eventually(levels)
    assert levels() == [logging.ERROR]
    assert SECRET not in caplog.text


# --- R32: the event loop is not blocked

FILE_FUNCTIONS = frozenset(
    ("access", "fstat", "listdir", "lstat", "mkdir", "open", "read", "rename")
    + ("replace", "rmdir", "scandir", "stat", "unlink", "write")
)


@contextmanager
def blocking_calls(*modules: str) -> Generator[list[str], None, None]:
    """Collect this thread's calls that touch files, sleep, or belong to the modules."""
    found: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event != "c_call":
            return
        owner = type(getattr(function, "__self__", None)).__module__
        module = getattr(function, "__module__", None) or owner
        name = function.__name__
        if (
            module in modules
            or (module in ("nt", "posix") and name in FILE_FUNCTIONS)
            or (module, name) in (("io", "open"), ("_io", "open"), ("time", "sleep"))
        ):
            found.append(f"{module}.{name} in {frame.f_code.co_filename}")

    profile, loop = sys.getprofile(), asyncio.get_running_loop()
    debug = loop.get_debug()
    loop.set_debug(False)  # in debug mode, asyncio itself reads source files
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(profile)
        loop.set_debug(debug)


@async_test
async def test_R32_the_event_loop_keeps_running_while_a_write_waits(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    with probe.locked():
        call = asyncio.ensure_future(store.add_thread_item("thr_1", a_message(), alice))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not call.done()
    await finish(call)


@async_test
async def test_R32_no_call_opens_files_or_sleeps_on_the_event_loop_thread(
    store: ChatStore, alice: RequestContext, bob: RequestContext, probe: Probe
) -> None:
    for context in (alice, bob):  # the first use may import modules
        await store.save_thread(a_thread("thr_2"), context)
        await store.save_item("thr_2", a_message("damaged", "thr_2"), context)
        probe.damage_item("damaged")
        with blocking_calls(*probe.BLOCKING_MODULES) as found:
            await save_one_of_each(store, context)
            for call in CALLS.values():
                await call(store, context)
            await store.load_thread_items("thr_2", None, 20, "asc", context)
            with pytest.raises(NotFoundError):
                await store.load_thread("thr_absent", context)
    assert found == []


@only_own
@async_test
async def test_R32_a_status_check_reads_no_file_on_the_loops_thread(
    store: ChatStore, probe: Probe
) -> None:
    await store.status()  # the first use may import modules
    with blocking_calls(*probe.BLOCKING_MODULES) as found:
        await store.status()
    assert found == []


# --- R33: a bounded pool


@async_test
async def test_R33_the_pool_is_bounded(
    probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    async with ChatStore(probe.url, auto_migrate=True, pool_size=3) as store:
        await save_one_of_each(store, alice)
        with probe.stalled(store):
            calls = [
                asyncio.ensure_future(call(store, context))
                for call in [*CALLS.values()] * 10
                for context in (alice, bob)  # whose calls are limited separately
            ]
            await asyncio.sleep(0.3)
            busy = probe.count_connections(store)
        await finish(asyncio.gather(*calls, return_exceptions=True))
        # One more is set apart for writing, or is that of `stalled`.
        assert max(busy, probe.count_connections(store)) <= 4


@async_test
async def test_R33_calls_that_wait_for_an_exhausted_pool_time_out(
    store: ChatStore, alice: RequestContext, bob: RequestContext, probe: Probe
) -> None:
    await save_one_of_each(store, alice)
    hasty = ChatStore(probe.url, write_timeout=0.5, **probe.HASTY)
    async with hasty:
        with probe.stalled(hasty):
            calls = [call(hasty, alice) for call in CALLS.values()]
            outcomes = await finish(asyncio.gather(*calls, return_exceptions=True), 3)
        for method, outcome in zip(CALLS, outcomes):
            assert isinstance(outcome, DatabaseTimeoutError), method
            assert "0.5 s" in str(outcome)
        await recover(hasty, bob)


@only_own
@pytest.mark.parametrize(
    "options",
    [
        {"max_page_size": 0},
        {"max_page_bytes": 0},
        {"max_item_bytes": 0},
        {"write_timeout": 0},
        {"write_timeout": math.inf},
        {"pool_size": 0},
        {"pool_timeout": 0},
        {"pool_timeout": math.inf},
        {"no_such_option": 1},
        *Probe.BAD_OPTIONS,
    ],
    ids=str,
)
def test_R33_a_bad_option_is_refused_by_its_name(
    probe: Probe, options: dict[str, Any]
) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        ChatStore(probe.url, **options)


async def recover(store: ChatStore, context: RequestContext) -> None:
    """Write and read, as soon as the Store's connections are free again."""
    for _ in range(50):
        try:
            await finish(save_one_of_each(store, context))
            await finish(store.load_thread("thr_1", context))
        except DatabaseError:
            continue
        return
    raise AssertionError("The Store does not answer any more.")


@async_test
async def test_R33_connections_come_back_after_errors(
    probe: Probe, alice: RequestContext
) -> None:
    async with ChatStore(probe.url, auto_migrate=True, pool_size=1) as store:
        await save_one_of_each(store, alice)
        probe.refuse_items()
        for _ in range(5):
            with pytest.raises(DatabaseError):
                await finish(store.add_thread_item("thr_1", a_message("msg_2"), alice))
            with pytest.raises(NotFoundError):
                await finish(store.load_item("thr_1", "msg_2", alice))
        await finish(store.save_thread(a_thread(), alice))


# --- R34: a connection that died is replaced


@pytest.mark.parametrize("method", CALLS)
@async_test
async def test_R34_a_call_succeeds_although_its_connection_has_died(
    store: ChatStore, alice: RequestContext, probe: Probe, method: str
) -> None:
    await save_one_of_each(store, alice, "before")
    before = stored_rows(probe)
    probe.break_connections(store)
    await finish(CALLS[method](store, alice))
    assert (stored_rows(probe) != before) == (method in WRITES)


# --- R35: what was acknowledged is stored


@async_test
async def test_R35_a_commit_is_on_disk_before_it_is_acknowledged(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await save_one_of_each(store, alice)
    assert await probe.flaws_in_durability(store) == []


# --- R36: concurrent writers


@async_test
async def test_R36_writers_in_one_process_lose_and_duplicate_nothing(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    items = [a_message(f"msg_{number:03}") for number in range(100)]
    versions = [a_message("same", text=f"version {number}") for number in range(20)]
    async with ChatStore(probe.url) as other:
        writers = (store, other)
        calls = [
            writers[number % 2].add_thread_item("thr_1", item, alice)
            for number, item in enumerate(items)
        ]
        for writer in writers:
            calls += [writer.save_item("thr_1", item, alice) for item in versions]
        await finish(asyncio.gather(*calls))
    found = await walk(store, alice, limit=50)
    same = [item for item in found if item.id == "same"]
    assert len(same) == 1
    assert same[0] in versions
    assert sorted(item.id for item in found) == [*(it.id for it in items), "same"]


@async_test
async def test_R36_a_failed_write_does_not_affect_concurrent_writes(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    probe.refuse_items()
    calls = [store.save_thread(a_thread(f"thr_{number}"), alice) for number in range(9)]
    calls.insert(5, store.add_thread_item("thr_1", a_message(), alice))
    outcomes = await finish(asyncio.gather(*calls, return_exceptions=True))
    failures = [outcome for outcome in outcomes if outcome is not None]
    assert [type(failure) for failure in failures] == [DatabaseError]
    assert count_rows(probe, "chatkit_threads") == 9


# --- R37: the tables and the code

MIGRATOR = """
import asyncio
import sys

from chat_store_processes import wait_for_the_word
from chat_store_under_test import ChatStore

wait_for_the_word("ready")
print(*asyncio.run(ChatStore(sys.argv[1]).migrate()))
"""


def test_R37_processes_that_start_together_apply_each_migration_once(
    old_probe: Probe,
) -> None:
    before = [] if old_probe.is_untouched() else applied(old_probe)
    with processes(MIGRATOR, *[(old_probe.url,)] * 3) as started:
        outcomes = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outcomes
    assert applied(old_probe) == MIGRATIONS
    by_whom = [name for output, _ in outcomes for name in output.split()]
    assert before + sorted(by_whom) == MIGRATIONS


@async_test
async def test_R37_migrate_waits_for_a_migration_in_another_process(
    old_probe: Probe,
) -> None:
    before = [] if old_probe.is_untouched() else applied(old_probe)
    with old_probe.migrating():
        migration = asyncio.ensure_future(ChatStore(old_probe.url).migrate())
        await asyncio.sleep(0.2)
        assert not migration.done()
    assert before + await finish(migration) == MIGRATIONS


@pytest.mark.parametrize("auto_migrate", [False, True])
@async_test
async def test_R37_tables_that_are_too_new_are_refused(
    store: ChatStore, probe: Probe, auto_migrate: bool
) -> None:
    probe.execute(
        "INSERT INTO chatkit_migrations (version, name, runs_with) "
        "VALUES (9000, '9000_from_the_future', 9000)"
    )
    late = ChatStore(probe.url, auto_migrate=auto_migrate)
    with pytest.raises(SchemaError, match="9000.* too new .*Deploy"):
        await late.open()
    await late.close()


@async_test
async def test_R37_outdated_tables_are_refused_with_the_command_to_run(
    old_probe: Probe, alice: RequestContext
) -> None:
    store = ChatStore(old_probe.url)
    with pytest.raises(SchemaError, match=f"`python -m {PACKAGE} migrate`"):
        await store.open()
    with pytest.raises(StoreClosedError):
        await store.load_thread("thr_1", alice)
    assert set(await store.migrate()) <= set(MIGRATIONS)
    assert applied(old_probe) == MIGRATIONS
    assert await store.migrate() == []
    async with store:
        await save_one_of_each(store, alice)


@only_own
@async_test
async def test_R37_a_status_check_changes_nothing(probe: Probe) -> None:
    status = await finish(ChatStore(probe.url).status())
    assert (status.applied, status.problem is None) == (0, False)
    assert probe.is_untouched()


@only_own
@async_test
async def test_R37_newer_tables_that_still_serve_this_code_are_accepted(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    known = (await store.status()).known
    probe.execute(
        "INSERT INTO chatkit_migrations (version, name, runs_with) "
        f"VALUES (9000, '9000_from_the_future', {known})"
    )
    async with ChatStore(probe.url, auto_migrate=True) as late:
        await save_one_of_each(late, alice)


@only_own
def test_R37_the_command_line_migrates_and_tells_the_status(
    probe: Probe, command: Command
) -> None:
    status, printed = command("status", "--url", probe.url)
    assert status == 1
    assert probe.is_untouched()
    # Scripts may read these lines.
    assert printed.splitlines()[:-1] == [
        "tables:  version 0",
        f"code:    version {migrate.load()[-1].version}",
        *(f"pending: {name}" for name in MIGRATIONS),
    ]
    assert f"python -m {PACKAGE} migrate" in printed
    status, printed = command("migrate", url=probe.url)
    assert status == 0
    assert [name for name in MIGRATIONS if name in printed] == MIGRATIONS
    assert applied(probe) == MIGRATIONS
    status, printed = command("status", url=probe.url)
    assert status == 0
    assert "pending" not in printed


# --- R38: the signatures are the SDK's


@pytest.mark.parametrize(
    "method", [name for name in vars(Store) if not name.startswith("_")]
)
def test_R38_every_method_has_the_signature_of_the_sdk(
    store: ChatStore, method: str
) -> None:
    ours, theirs = getattr(type(store), method), getattr(Store, method)
    own, expected = (
        [
            parameter.replace(annotation=parameter.empty)
            for parameter in inspect.signature(each).parameters.values()
        ]
        for each in (ours, theirs)
    )
    assert own == expected
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


@only_own
def test_R38_chat_store_is_a_subclass_of_the_sdks_store(store: ChatStore) -> None:
    assert isinstance(store, Store)
    assert vars(ChatStore)["__orig_bases__"] == (Store[RequestContext],)


# --- R39: nothing private in logs and errors


@only_own
@async_test
async def test_R39_errors_and_logs_never_contain_what_users_wrote(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secret_item = a_message("msg_2", text=SECRET)
    secret_thread = a_thread(title=SECRET, metadata={"bad": object()})
    await save_one_of_each(store, alice, SECRET)
    failing = [
        store.add_thread_item("thr_absent", secret_item, alice),
        store.add_thread_item("", secret_item, alice),
        store.add_thread_item("thr_1", a_note([SECRET, "\ud800"]), alice),
        store.add_thread_item("thr_1", a_note([SECRET, object()]), alice),
        store.add_thread_item("thr_1", a_note([SECRET, float("nan")]), alice),
        store.add_thread_item("thr_1", a_message("", text=SECRET), alice),
        store.save_thread(secret_thread, alice),
        store.save_attachment(an_attachment("\0", name=SECRET), alice),
    ]
    for call in failing:
        assert SECRET not in await failure_of(call)
    probe.damage_item("msg_1")
    await store.load_thread_items("thr_1", None, 20, "asc", alice)
    assert SECRET not in await failure_of(store.load_item("thr_1", "msg_1", alice))
    probe.refuse_items()
    assert SECRET not in await failure_of(
        store.add_thread_item("thr_1", secret_item, alice)
    )
    probe.forbid_attachments()
    assert SECRET not in await failure_of(
        store.save_attachment(an_attachment(name=SECRET), alice)
    )
    probe.execute("DROP TABLE chatkit_attachments")
    assert SECRET not in await failure_of(
        store.save_attachment(an_attachment(name=SECRET), alice)
    )
    assert caplog.records
    assert SECRET not in caplog.text


FORGED = "1\n\x1b[2J2026 forged"


@pytest.mark.parametrize("sent", [FORGED, "x" * 10_000, "\ud800"])
@async_test
async def test_R39_errors_show_client_input_escaped_and_truncated(
    store: ChatStore, alice: RequestContext, sent: str
) -> None:
    await store.save_thread(a_thread(), alice)
    for call in (
        store.load_thread(sent, alice),
        store.load_threads(9, sent, "asc", alice),
        store.load_threads(9, None, sent, alice),
        store.load_thread_items("thr_1", sent, 9, "asc", alice),
        store.load_item("thr_1", sent, alice),
        store.load_attachment(sent, alice),
        store.add_thread_item(sent, a_message(), alice),
    ):
        with pytest.raises((NotFoundError, ValueError)) as error:
            await call
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 300


def test_R39_the_password_of_the_url_is_never_printed(
    probe: Probe, command: Command
) -> None:
    async def open_store(url: str) -> None:
        async with ChatStore(url, pool_timeout=0.1):
            pass

    password = "s3cret-passw0rd"
    unreadable = (f"nosuchdb://u:{password}℀@host/x", f"nosuchdb://u:{password}@[x/y")
    for url in (*probe.urls_with(password), *unreadable):
        assert password not in run_async(failure_of(open_store(url)))
        for arguments in (["status"], ["migrate"], ["migrate", "--url", url]):
            status, printed = command(*arguments, "--pool-timeout", "0.1", url=url)
            assert status in (1, 2)
            assert password not in printed
        for misplaced in (["migrate", url], [url], ["--" + url]):
            status, printed = command(*misplaced)
            assert status == 2
            assert password not in printed


@only_own
@pytest.mark.parametrize("rest", [":chat", ":/chat", ":/localhost/chat"])
def test_R39_a_url_without_two_slashes_is_refused(probe: Probe, rest: str) -> None:
    scheme = probe.url.partition(":")[0]
    with pytest.raises(ValueError, match="The URL cannot be read"):
        ChatStore(scheme + rest)


async def failure_of(call: Any) -> str:
    """Return all that can be printed of the error that a call ends with."""
    try:
        await finish(call)
    except (ChatStoreError, NotFoundError, ValueError) as error:
        return "".join(traceback.format_exception(error)) + repr(error)
    raise AssertionError("The call did not fail.")


@async_test
async def test_R39_the_log_shows_an_id_escaped(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await store.save_thread(a_thread(), alice)
    await store.add_thread_item("thr_1", a_message(FORGED), alice)
    probe.damage_item(FORGED)
    assert await walk(store, alice) == []
    [message] = [record.getMessage() for record in caplog.records]
    assert message.isprintable()


# --- R40: opening and closing


@async_test
async def test_R40_close_waits_for_writes_in_flight(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await save_one_of_each(store, alice, "before")
    items = [a_message(f"msg_{number}") for number in range(2, 5)]
    with probe.locked():
        writes = [
            asyncio.ensure_future(store.add_thread_item("thr_1", item, alice))
            for item in items
        ]
        await asyncio.sleep(0)
        writes[0].cancel()
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
    await finish(closing)
    assert count_rows(probe, "chatkit_items") == 4
    outcomes = await finish(asyncio.gather(*writes, return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [
        asyncio.CancelledError,
        type(None),
        type(None),
    ]


@async_test
async def test_R40_close_waits_for_the_last_writes_of_cancelled_tasks(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)

    started: list[int] = []

    async def stream(number: int) -> None:
        await store.load_thread("thr_1", alice)
        started.append(number)
        try:
            await asyncio.sleep(60)
        finally:
            for part in "ab":
                for _ in range(50):  # as many awaits may lie before the write
                    await asyncio.sleep(0)
                item = a_message(f"msg_{number}{part}")
                await store.add_thread_item("thr_1", item, alice)

    streams = [asyncio.ensure_future(stream(number)) for number in range(10)]
    await eventually(lambda: len(started) == 10)
    for task in streams:
        task.cancel()
    await finish(store.close())
    assert all(task.cancelled() for task in streams)
    assert count_rows(probe, "chatkit_items") == 20
    with pytest.raises(StoreClosedError):
        await store.load_thread("thr_1", alice)


@async_test
async def test_R40_using_a_store_that_is_not_open_raises_store_closed_error(
    probe: Probe, alice: RequestContext
) -> None:
    store = ChatStore(probe.url, auto_migrate=True)
    for _ in range(2):
        for call in CALLS.values():
            with pytest.raises(StoreClosedError, match=r"async with .*open\(\)"):
                await finish(call(store, alice))
        with suppress(ZeroDivisionError):
            async with store:
                await save_one_of_each(store, alice)
                raise ZeroDivisionError


@async_test
async def test_R40_open_and_close_may_be_repeated_and_leave_no_connections(
    probe: Probe, alice: RequestContext
) -> None:
    store = ChatStore(probe.url, auto_migrate=True)
    await finish(store.close())
    for _ in range(2):
        await finish(asyncio.gather(store.open(), store.open(), store.open()))
        await finish(store.open())
        await finish(save_one_of_each(store, alice))
        await finish(asyncio.gather(store.close(), store.close()))
        await finish(store.close())
        await eventually(lambda: probe.count_connections(store) == 0)
        with pytest.raises(StoreClosedError):
            await store.load_thread("thr_1", alice)


def test_R40_a_call_in_another_event_loop_raises_store_closed_error(
    store: ChatStore, alice: RequestContext
) -> None:
    with pytest.raises(StoreClosedError, match="event loop"):
        asyncio.run(store.load_thread("thr_1", alice))


@async_test
async def test_R40_migrate_neither_opens_nor_closes_the_store(
    probe: Probe, alice: RequestContext
) -> None:
    store = ChatStore(probe.url)
    await finish(asyncio.gather(store.migrate(), store.status(), store.migrate()))
    with pytest.raises(StoreClosedError):
        await store.load_thread("thr_1", alice)
    async with store:
        await finish(store.migrate())
        await finish(save_one_of_each(store, alice))


@only_own
@async_test
async def test_R40_closing_does_not_wait_where_nothing_is_left_to_write(
    store: ChatStore, alice: RequestContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_waiting(seconds: float) -> None:
        raise AssertionError("It waits.")

    ended = asyncio.create_task(store.save_thread(a_thread(), alice))
    await ended
    await store.load_thread("thr_1", alice)  # by the task that closes it
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", no_waiting)
        await store.close()


@only_own
@async_test
async def test_R40_closing_that_is_cancelled_with_its_event_loop_disconnects(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    async def stream() -> None:
        await store.save_thread(a_thread(), alice)
        await asyncio.sleep(60)

    streaming = asyncio.create_task(stream())  # so that closing waits
    await eventually(lambda: count_rows(probe, "chatkit_threads"))
    others = asyncio.all_tasks()
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0.05)
    for task in asyncio.all_tasks() - others:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    streaming.cancel()
    await eventually(lambda: probe.count_connections(store) == 0)


@only_own
def test_R40_a_store_that_cannot_be_opened_leaves_nothing_behind(
    probe: Probe,
) -> None:
    store = ChatStore(probe.url)  # there are no tables
    with pytest.raises(SchemaError):
        run_async(finish(store.open()))
    run_async(eventually(lambda: probe.count_connections(store) == 0))
    assert asyncio.run(store.migrate()) == MIGRATIONS  # in another event loop
