"""Running: R31 to R40 of the Store's contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
import gc
import inspect
import os
import subprocess
import sys
from typing import Any

import anyio
import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_fixtures import MIGRATIONS, PACKAGE, Command, applied
from chat_store_tools import (
    CALLS,
    READS,
    WRITES,
    a_message,
    a_note,
    a_thread,
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
    DatabaseError,
    DatabaseTimeoutError,
    RequestContext,
    SchemaError,
    StoreClosedError,
    migrate,
)
from chatkit.store import AttachmentStore
from test_chat_store_running import recover


@async_test
async def test_R31_writes_in_the_cleanup_of_a_cancelled_stream_are_stored(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    has_begun = asyncio.Event()

    async def stream() -> None:
        try:
            has_begun.set()
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            await store.add_thread_item("thr_1", a_message("msg_1"), alice)
            await store.add_thread_item("thr_1", a_note("cancelled", "hid_1"), alice)
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(stream)
        await has_begun.wait()
        group.cancel_scope.cancel()
    assert [item.id for item in await walk(store, alice)] == ["msg_1", "hid_1"]


@async_test
async def test_R31_a_write_that_fails_without_cancellation_raises(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    probe.refuse_items()
    with pytest.raises(DatabaseError):
        await finish(store.add_thread_item("thr_1", a_message(), alice))


@pytest.mark.parametrize("way", ["not cancelled", "task", "scope"])
@async_test
async def test_R31_the_wait_ends_after_the_configured_time(
    store: ChatStore, probe: Probe, alice: RequestContext, way: str
) -> None:
    await store.save_thread(a_thread(), alice)
    async with ChatStore(probe.url, write_timeout=0.1, pool_timeout=60) as hasty:
        with probe.locked():
            scope = anyio.CancelScope()

            async def call_in_scope() -> None:
                with scope:
                    await hasty.add_thread_item("thr_1", a_message(), alice)

            call = asyncio.ensure_future(call_in_scope())
            await asyncio.sleep(0)
            if way == "task":
                call.cancel()
            if way == "scope":
                scope.cancel()
            expected = asyncio.CancelledError if way == "task" else DatabaseTimeoutError
            with pytest.raises(expected):
                await finish(call)
    assert count_rows(probe, "chatkit_items") == 1  # close() has waited for it


@pytest.mark.parametrize("method", CALLS)
@async_test
async def test_R32_the_event_loop_keeps_running_while_the_database_is_blocked(
    store: ChatStore, alice: RequestContext, probe: Probe, method: str
) -> None:
    await save_one_of_each(store, alice)
    with probe.stalled(store):
        call = asyncio.ensure_future(CALLS[method](store, alice))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not call.done()
    await finish(call)


@only_own
@async_test
async def test_R32_the_loop_goes_on_during_a_burst_of_writes(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    items = [a_message(f"msg_{number}") for number in range(300)]
    writes = [
        asyncio.ensure_future(store.add_thread_item("thr_1", item, alice))
        for item in items
    ]
    ticks = 0
    while not all(write.done() for write in writes):
        await asyncio.sleep(0)
        ticks += 1
    await finish(asyncio.gather(*writes))
    assert ticks > 1  # one that blocks makes all the writes in the first


@async_test
async def test_R33_writes_that_another_process_locks_out_get_an_error_in_time(
    store: ChatStore, alice: RequestContext, bob: RequestContext, probe: Probe
) -> None:
    await save_one_of_each(store, alice)
    async with ChatStore(probe.url, **probe.HASTY) as hasty:
        with probe.locked():
            calls = [write(hasty, alice) for write in WRITES.values()]
            outcomes = await finish(asyncio.gather(*calls, return_exceptions=True))
        assert {type(outcome) for outcome in outcomes} == {DatabaseTimeoutError}
        await recover(hasty, bob)


@async_test
async def test_R33_many_writes_blocked_by_another_process_time_out_together(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    items = [a_message(f"msg_{number}") for number in range(600)]
    async with ChatStore(probe.url, **probe.HASTY) as hasty:
        with probe.locked():
            calls = [hasty.add_thread_item("thr_1", item, alice) for item in items]
            outcomes = await finish(asyncio.gather(*calls, return_exceptions=True), 3)
    assert {type(outcome) for outcome in outcomes} == {DatabaseTimeoutError}


@async_test
async def test_R33_connections_come_back_after_cancellations(
    probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    async with ChatStore(probe.url, auto_migrate=True, pool_size=1) as store:
        await save_one_of_each(store, alice)
        for wait in (0, 0.001):
            with probe.stalled(store):
                calls = [
                    asyncio.ensure_future(call(store, alice))
                    for call in [*CALLS.values()] * 3
                ]
                await asyncio.sleep(wait)
                for call in calls:
                    call.cancel()
            outcomes = await finish(asyncio.gather(*calls, return_exceptions=True))
            assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
            await finish(save_one_of_each(store, bob))
            for read in READS.values():
                await finish(read(store, bob))


@pytest.mark.parametrize("method", WRITES)
@async_test
async def test_R34_a_write_whose_connection_dies_at_commit_is_made_once_more(
    store: ChatStore, alice: RequestContext, probe: Probe, method: str
) -> None:
    await save_one_of_each(store, alice, "before")
    before = stored_rows(probe)
    probe.break_at_commit(store)
    await finish(WRITES[method](store, alice))
    assert stored_rows(probe) != before
    assert len(await walk(store, alice)) <= 1


@async_test
async def test_R34_calls_that_wait_together_succeed_although_connections_die(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    probe.break_connections(store)
    items = [a_message(f"msg_{number:02}") for number in range(30)]
    await finish(
        asyncio.gather(
            *(store.add_thread_item("thr_1", item, alice) for item in items),
            *(store.load_thread("thr_1", alice) for _ in range(30)),
        )
    )
    found = await walk(store, alice, limit=50)
    assert sorted(found, key=lambda item: item.id) == items


@async_test
async def test_R34_calls_fail_while_the_database_is_down_and_succeed_afterwards(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await save_one_of_each(store, alice)
    options = probe.HASTY.copy()
    options["pool_size"] = len(CALLS)
    async with ChatStore(probe.url, **options) as hasty:
        with probe.unreachable(hasty):
            for _ in range(3):
                started = [call(hasty, alice) for call in CALLS.values()]
                outcomes = await finish(
                    asyncio.gather(*started, return_exceptions=True)
                )
                for method, outcome in zip(CALLS, outcomes):
                    assert isinstance(outcome, DatabaseError), method
        await recover(hasty, alice)
        for call in CALLS.values():
            await finish(call(hasty, alice))


def test_R37_migrate_sql_prints_a_script_that_a_dba_can_run(
    probe: Probe, command: Command, alice: RequestContext
) -> None:
    status, printed = command("migrate", "--sql", url=probe.url)
    assert status == 0
    assert command("status", url=probe.url)[0] == 1  # nothing was done
    probe.run_script(printed)
    assert applied(probe) == MIGRATIONS
    assert command("migrate", "--sql", url=probe.url) == (0, "")
    store = ChatStore(probe.url)
    run_async(store.open())
    run_async(save_one_of_each(store, alice))
    run_async(store.close())


def test_R37_the_command_line_can_be_run_with_m(probe: Probe) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", PACKAGE, "migrate", "--url", probe.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert MIGRATIONS[0] in outcome.stdout
    assert applied(probe) == MIGRATIONS


@only_own
@async_test
async def test_R37_a_custom_migration_does_not_hide_tables_that_are_too_new(
    store: ChatStore, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "CREATE INDEX chatkit_mine ON chatkit_items (id);\n"
    own = migrate.Migration(1001, "1001_mine", 1, sql)
    migrations = [*migrate.load(), own]
    monkeypatch.setattr(migrate, "load", lambda: migrations)
    late = ChatStore(probe.url, auto_migrate=True)
    async with late:
        assert (await late.status()).problem is None
    probe.execute(
        "INSERT INTO chatkit_migrations (version, name, runs_with) "
        "VALUES (900, '0900_from_the_future', 900)"
    )
    with pytest.raises(SchemaError, match=r"too new .*version 900\b"):
        await late.open()


@only_own
@async_test
async def test_R37_status_and_close_do_not_wait_for_a_migration(
    store: ChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_under_way, may_end = asyncio.Event(), asyncio.Event()

    async def migrate_slowly(*_: object) -> list[str]:
        is_under_way.set()
        await may_end.wait()
        return []

    module = sys.modules[ChatStore.__module__]
    monkeypatch.setattr(module, "apply_pending", migrate_slowly)
    migration = asyncio.ensure_future(store.migrate())
    await finish(is_under_way.wait())
    try:
        assert (await finish(store.status(), 3)).problem is None
        await finish(store.close(), 3)
    finally:
        may_end.set()
        await finish(migration)


@only_own
def test_R38_attachment_ids_have_the_signature_of_the_sdks_attachment_store() -> None:
    ours, theirs = (
        inspect.signature(each.generate_attachment_id)
        for each in (ChatStore, AttachmentStore[Any])
    )
    assert ours.parameters.keys() == theirs.parameters.keys()


@only_own
@async_test
async def test_white_space_around_a_url_is_ignored(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    async with ChatStore(f" {probe.url}\n") as other:
        assert await other.load_thread("thr_1", alice) == a_thread()


@async_test
async def test_R40_close_waits_for_a_write_that_its_caller_has_given_up(
    probe: Probe, alice: RequestContext
) -> None:
    store = ChatStore(probe.url, auto_migrate=True, write_timeout=0.05)
    await store.open()
    with probe.locked():
        with pytest.raises(DatabaseTimeoutError):
            await finish(store.save_thread(a_thread(), alice))
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
    await finish(closing)
    assert count_rows(probe, "chatkit_threads") == 1


@async_test
async def test_R40_opening_while_it_is_being_closed_opens_it_again(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    with probe.locked():
        write = asyncio.ensure_future(store.save_thread(a_thread(), alice))
        await asyncio.sleep(0)
        calls = [asyncio.ensure_future(call) for call in (store.close(), store.open())]
        await asyncio.sleep(0.05)
    await finish(asyncio.gather(write, *calls))
    assert await finish(store.load_thread("thr_1", alice)) == a_thread()


@pytest.mark.parametrize("delay", [0, 0.001, 0.003, 0.01])
@async_test
async def test_R40_opening_that_was_cancelled_leaves_nothing_behind(
    probe: Probe, alice: RequestContext, delay: float
) -> None:
    store = ChatStore(probe.url, auto_migrate=True, pool_timeout=2)
    for _ in range(3):
        opening = asyncio.ensure_future(store.open())
        await asyncio.sleep(delay)
        opening.cancel()
        await finish(asyncio.wait({opening}))
        del opening
    await finish(store.open())
    await finish(save_one_of_each(store, alice))
    await finish(store.close())

    def is_disconnected() -> bool:
        # psycopg closes a half-made connection when the cancelled task is collected.
        gc.collect()
        return probe.count_connections(store) == 0

    await eventually(is_disconnected)


@only_own
@async_test
async def test_R40_close_waits_only_briefly_for_a_task_that_keeps_running(
    store: ChatStore, alice: RequestContext
) -> None:
    ended = asyncio.Event()

    async def poll() -> None:
        await store.load_thread("thr_1", alice)
        await ended.wait()

    await store.save_thread(a_thread(), alice)
    polling = asyncio.ensure_future(poll())
    await asyncio.sleep(0)
    await finish(store.close())
    assert not polling.done()
    ended.set()
    await polling


@async_test
async def test_R40_closing_goes_on_although_its_caller_is_cancelled(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    is_streaming = asyncio.Event()

    async def stream() -> None:
        await store.load_threads(1, None, "asc", alice)
        is_streaming.set()
        try:
            await asyncio.sleep(60)
        finally:
            await store.save_thread(a_thread("thr_2"), alice)

    streaming = asyncio.ensure_future(stream())
    await is_streaming.wait()
    with probe.locked():
        write = asyncio.ensure_future(store.save_thread(a_thread(), alice))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.01)
        closing.cancel()
        await asyncio.sleep(0.01)
    await finish(write)
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finish(closing)
    await eventually(lambda: probe.count_connections(store) == 0)
    await finish(store.open())
    for thread_id in ("thr_1", "thr_2"):
        assert (await finish(store.load_thread(thread_id, alice))).id == thread_id


@only_own
def test_R40_a_closed_store_can_be_opened_in_another_event_loop_by_several_tasks(
    probe: Probe, alice: RequestContext
) -> None:
    store = ChatStore(probe.url, auto_migrate=True)

    async def serve() -> None:
        await asyncio.gather(*(store.open() for _ in range(3)))
        await asyncio.gather(*(store.save_thread(a_thread(), alice) for _ in range(3)))
        await store.close()

    for _ in range(2):
        asyncio.run(finish(serve()))


@only_own
@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system has no fork.")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # there are other threads
def test_R40_using_a_store_opened_before_a_fork_raises_store_closed_error(
    store: ChatStore, alice: RequestContext
) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run_async(store.load_thread("thr_1", alice))
        except StoreClosedError as error:
            status = 0 if "fork" in str(error) else 2
        finally:
            os._exit(status)  # pyright: ignore[reportPrivateUsage]
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
