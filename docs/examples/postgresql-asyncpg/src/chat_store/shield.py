"""Protects writes from the cancellation of their callers.

When a user presses Stop, Starlette cancels the stream through an anyio scope, in which
every further `await` is cancelled again. Unshielded, the partial answer and the hidden
item that the SDK stores at that moment would be lost.
"""

import asyncio
import logging
import math
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

from .errors import DatabaseTimeoutError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_QUIET = 0.2  # seconds without a write, after which no more are expected


class Writes:
    """Runs each write in its own task.

    Args:
        timeout: How long a caller waits for its write, in seconds. The write itself
            continues until it ends or the database's own timeouts end it.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._running: set[asyncio.Task[Any]] = set()
        self._callers: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    async def run(self, write: Coroutine[Any, Any, T]) -> T:
        """Start a write and wait for it, as `finish` does."""
        task = asyncio.create_task(write)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await finish(task, self._timeout)

    def expect_from(self, caller: asyncio.Task[Any] | None) -> None:
        """Record that a task uses the Store, and may write once more when it ends."""
        if caller is not None:
            self._callers.add(caller)

    async def wait_for_last(self, closer: asyncio.Task[Any] | None) -> None:
        """Wait for running writes, and briefly for tasks that may write again.

        Args:
            closer: The task that closes the Store, which does not write meanwhile.
        """
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._timeout
        last = clock()
        while clock() < give_up:
            if self._running:
                last = clock()
            elif clock() > last + _QUIET or not self._expects_more(closer):
                return
            await asyncio.sleep(0.01)

    async def drain(self) -> None:
        """Wait until no write is running."""
        while self._running:
            await asyncio.wait(self._running)

    def _expects_more(self, closer: asyncio.Task[Any] | None) -> bool:
        return any(not task.done() for task in self._callers if task is not closer)


async def finish(task: asyncio.Task[T], timeout: float | None = None) -> T:
    """Wait for a task, shielded from cancellation.

    A native `Task.cancel()` raises once the task has ended. A cancelled anyio scope
    does not: the call returns, and anyio raises at the caller's next checkpoint, so
    that several writes in a row succeed.

    Raises:
        asyncio.CancelledError: The calling task was cancelled meanwhile. A failure of
            the task is then logged.
        DatabaseTimeoutError: The task is still running after `timeout` seconds.
    """
    clock = asyncio.get_running_loop().time
    deadline = math.inf if timeout is None else clock() + timeout
    cancellation: asyncio.CancelledError | None = None
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.shield(task)
    except asyncio.CancelledError as error:
        if anyio.current_effective_deadline() > -math.inf:  # not anyio's
            cancellation = error
    except TimeoutError:  # ours, or the task's
        pass
    with anyio.CancelScope(shield=True):
        while not task.done() and (remaining := deadline - clock()) > 0:
            try:
                await asyncio.wait({task}, timeout=remaining)
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is not None or not task.done():
        task.add_done_callback(_log_failure)
        raise cancellation or DatabaseTimeoutError(
            f"A write did not end within {timeout:g} s; it may still succeed."
        )
    return task.result()


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A write failed after its caller stopped waiting: %s", error)
