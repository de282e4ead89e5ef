"""Processes that delete threads while others write into them.

This directory exists only if the template answer store_tests is "full".
"""

import json

from chat_store_database import Probe
from chat_store_processes import go_on, processes, text_of
from chat_store_racers import RACER, Call, report_of
from chat_store_tools import THOROUGH, a_thread, run_async, walk
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import NotFoundError


def test_R10_processes_that_write_late_never_bring_a_deleted_thread_back(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    names = "abcd" if THOROUGH else "ab"
    rounds = 30 if THOROUGH else 10
    own = {name: [f"thr_{name}{number}" for number in range(2)] for name in names}
    threads = [thread_id for each in own.values() for thread_id in each]
    for thread_id in threads:
        run_async(store.save_thread(a_thread(thread_id), alice))
    arguments = [
        (probe.url, name, ",".join(own[name]), ",".join(threads), str(rounds))
        for name in names
    ]
    with processes(RACER, *arguments) as started:
        for process in started:
            report_of(process)
        go_on(started)
        printed = [process.communicate(timeout=60)[0] for process in started]
    calls = [Call(**json.loads(line)) for each in printed for line in each.splitlines()]
    for thread_id in threads:
        assert_fits(calls, thread_id, run_async(texts_or_none(store, alice, thread_id)))
    orphans = probe.query(
        "SELECT item.id FROM chatkit_items AS item LEFT JOIN chatkit_threads AS thread "
        "ON thread.owner_id = item.owner_id AND thread.id = item.thread_id "
        "AND thread.deleted_at IS NULL WHERE thread.id IS NULL"
    )
    assert orphans == []


async def texts_or_none(
    store: ChatStore, context: RequestContext, thread_id: str
) -> list[str] | None:
    """Return the texts of a thread's items, or None if there is no such thread."""
    items = await walk(store, context, thread_id=thread_id, limit=500)
    try:
        await store.load_thread(thread_id, context)
    except NotFoundError:
        assert items == []
        return None
    return [text_of(item) for item in items]


def assert_fits(calls: list[Call], thread_id: str, found: list[str] | None) -> None:
    """Check that a thread's calls ended as they had to, and that it is as they have left it."""
    of_thread = [call for call in calls if call.thread_id == thread_id]
    # One process makes them all, one after the other.
    changes = [call for call in of_thread if call.what in ("create", "delete")]
    writes = [call for call in of_thread if call.what in ("add", "save")]
    assert not any(change.was_refused for change in changes)
    for write in writes:
        assert write.was_refused in outcomes_of(write, changes), write
    if changes[-1].what == "delete":
        assert found is None
        return
    assert found is not None
    assert len(found) == len(set(found))
    deletion = [change for change in changes if change.what == "delete"][-1]
    accepted = [
        write for write in writes if write.what == "add" and not write.was_refused
    ]
    must_be_there = {call.text for call in accepted if call.began > deletion.ended}
    may_be_there = {call.text for call in accepted if call.ended > deletion.began}
    assert must_be_there <= set(found) <= may_be_there


def outcomes_of(write: Call, changes: list[Call]) -> set[bool]:
    """Return the outcomes that a write may have: refused, not refused, or either."""
    is_deleted = False
    for change in changes:
        if change.ended < write.began:
            is_deleted = change.what == "delete"
        elif change.began < write.ended:
            return {False, True}
    return {is_deleted}
