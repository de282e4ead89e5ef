"""Budgets: what a call may cost, in statements, which are the same on every machine.

This directory exists only if the template answer store_tests is "full".
"""

import pytest
from chat_store_database import Probe
from chat_store_http import user_input
from chat_store_scripted import ScriptedServer, ask, says
from chat_store_tools import (
    CALLS,
    a_message,
    an_attachment,
    async_test,
    fill,
    finish,
)
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import NotFoundError

STATEMENTS = {
    "load_thread": 1,
    "load_thread_items": 1,
    "load_item": 1,
    "load_attachment": 1,
    "load_threads": 1,
    "save_thread": 1,
    "save_attachment": 1,
    "add_thread_item": 1,
    "save_item": 1,
    "delete_thread_item": 1,
    "delete_attachment": 1,
    "delete_thread": 3,  # mark it, delete its items, purge old tombstones
}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("rows", ["absent", "present", "many"])
@async_test
async def test_R22_each_call_sends_a_fixed_number_of_statements(
    store: ChatStore, probe: Probe, alice: RequestContext, method: str, rows: str
) -> None:
    if rows != "absent":
        await fill(store, alice, 2 if rows == "present" else 60)
        await store.add_thread_item("thr_1", a_message(), alice)
        await store.save_attachment(an_attachment(), alice)
    with probe.recorded(store) as sent:
        try:
            await finish(CALLS[method](store, alice))
        except NotFoundError:
            assert rows == "absent"
    assert len(sent) - sent.count("BEGIN") == STATEMENTS[method], sent


@async_test
async def test_R22_a_turn_of_a_conversation_sends_few_statements_however_long_it_is(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await fill(store, alice, 60)
    server = ScriptedServer(store, says("msg_1", "Hello"))
    with probe.recorded(store) as sent:
        await ask(
            server,
            alice,
            "threads.add_user_message",
            thread_id="thr_1",
            input=user_input("Hi"),
        )
    assert len(sent) <= 6, sent
