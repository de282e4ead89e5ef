"""Ends calls to a server that take too long, or that nobody waits for any more.

A call that is cancelled has its driver cancel the statement on the server and await the
answer. So it is cancelled once, in a task of its own: anyio's scopes cancel each further
`await` again, and would cut that short. Where the network has lost the server, no answer
comes: it is cancelled again after a while, which makes the driver give up the connection.
"""

import asyncio
import math
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

import anyio

from .settle import ended

T = TypeVar("T")

PATIENCE = 1.0
"""How long a server may take to cancel a statement, in seconds."""


async def attend(call: Coroutine[Any, Any, T]) -> T:
    """Make a call in a task of its own, which is ended when the caller is cancelled.

    Args:
        call: The call.

    Returns:
        What the call returns.
    """
    task = asyncio.ensure_future(call)
    try:
        await ended(task)
    finally:
        if not task.done():
            with anyio.CancelScope(shield=True):
                while not task.done():
                    task.cancel()
                    await asyncio.wait({task}, timeout=PATIENCE)
    return task.result()


class Deadline:
    """Limits the time of a block, in a task that only `attend` may cancel.

    It is a plain timer, at a fifth of the cost of anyio's scopes.

    Args:
        seconds: How long the block may take.

    Raises:
        TimeoutError: It took longer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def __enter__(self) -> None:
        if self._seconds < math.inf:
            task = asyncio.current_task()
            assert task is not None
            loop = task.get_loop()
            self._timer = loop.call_later(self._seconds, self._end, task)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_over and exc_type is asyncio.CancelledError:
            raise TimeoutError from None

    def _end(self, task: "asyncio.Task[Any]") -> None:
        self._is_over = True
        task.cancel()
        self._timer = task.get_loop().call_later(PATIENCE, self._end, task)
