"""A task that appends while a test disturbs what is under it.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
import contextlib
import itertools

from chat_store_tools import a_message
from chat_store_under_test import ChatStore, RequestContext


async def append_until(
    ended: asyncio.Event,
    store: ChatStore,
    context: RequestContext,
    name: str,
    error: type[Exception],
) -> list[str]:
    """Append to thr_1 until told to end, and at least one item is acknowledged.

    Args:
        ended: Tells it to end.
        store: The Store.
        context: Whose the thread is.
        name: How the items' ids begin.
        error: What a call may raise; its item is then not acknowledged.

    Returns:
        The ids of the items that were acknowledged, in their order.
    """
    acknowledged: list[str] = []
    for number in itertools.count():
        if ended.is_set() and acknowledged:
            break
        item_id = f"{name}_{number:05}"
        with contextlib.suppress(error):
            await store.add_thread_item("thr_1", a_message(item_id), context)
            acknowledged.append(item_id)
        # A Store that blocks the loop would never let the others have their turn.
        await asyncio.sleep(0)
    return acknowledged
