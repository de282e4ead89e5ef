"""Lets a write finish although its caller is cancelled.

When a user presses Stop, Starlette cancels the stream through an anyio scope, in which
every further `await` is cancelled again. Unshielded, the partial answer and the hidden
item that the SDK stores at that moment would both be lost.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

from .errors import DatabaseTimeoutError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Writes:
    """Runs writes, each in a task of its own.

    Args:
        timeout: How long a caller waits for its write, in seconds. The write itself
            goes on until it ends, or the database's own timeouts end it.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, write: Coroutine[Any, Any, T]) -> T:
        """Start a write and wait for it.

        Raises:
            asyncio.CancelledError: The task was cancelled meanwhile; a write that fails
                after that is logged.
            DatabaseTimeoutError: The write did not end in time; it may still succeed.
        """
        task = asyncio.create_task(write)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await finish(task, self._timeout)

    async def drain(self) -> None:
        """Wait until no write is running."""
        while self._running:
            await asyncio.wait(self._running)


async def finish(task: asyncio.Task[T], timeout: float | None = None) -> T:
    """Wait for a task, shielded from cancellation.

    A native `Task.cancel()` is raised again once the task has ended. A cancelled anyio
    scope is not: the call returns, and anyio raises at the caller's next checkpoint, so
    that several writes in a row succeed.

    Args:
        task: The task; it goes on when this function gives up.
        timeout: The longest wait, in seconds, or None.

    Returns:
        What the task returns.

    Raises:
        asyncio.CancelledError: The calling task was cancelled meanwhile.
        DatabaseTimeoutError: The task did not end in time.
    """
    clock = asyncio.get_running_loop().time
    deadline = None if timeout is None else clock() + timeout
    cancellation: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            remaining = None if deadline is None else deadline - clock()
            if remaining is not None and remaining <= 0:
                break
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
        logger.error("A write failed after its caller had gone: %s", error)
