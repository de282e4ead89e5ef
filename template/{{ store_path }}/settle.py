"""Lets a write finish although its caller is cancelled (R31).

When a user presses Stop, Starlette cancels the stream through an anyio scope, in which
every further `await` is cancelled again. Without care, the partial answer and the
hidden item that the SDK stores at that moment are both lost. This is the one place that
deals with it, for every write on every database.
"""

import asyncio
import logging
import math
from typing import TypeVar

import anyio

from .errors import DatabaseTimeoutError
from .timers import timers

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def settle(write: asyncio.Future[T], timeout: float) -> T:
    """Wait for a write that has been started, shielded from cancellation.

    A cancelled anyio scope is not raised here: the call returns, and anyio raises at
    the caller's next checkpoint, so that several writes in a row succeed. A native
    `task.cancel()` is raised again once the write has ended.

    Args:
        write: The write, already under way; it goes on when this function gives up.
        timeout: The longest wait, in seconds, so that a dead database cannot block
            shutdown.

    Returns:
        What the write returns.

    Raises:
        asyncio.CancelledError: The task was cancelled meanwhile; a failed write is then
        logged.
        DatabaseTimeoutError: The write did not end in time; whether it will is unknown.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    cancellation: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not write.done() and (remaining := deadline - clock()) > 0:
            try:
                await ended(write, remaining)
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is not None or not write.done():
        write.add_done_callback(_log_failure)
        raise cancellation or DatabaseTimeoutError(
            f"A write did not end within {timeout:g} s; it may still take effect."
        )
    return write.result()


async def ended(future: asyncio.Future[T], timeout: float = math.inf) -> None:
    """Wait until a future is done, whatever comes of it; being cancelled leaves it alone.

    This is `asyncio.wait` for one future, at half the cost.

    Args:
        future: The future.
        timeout: The longest wait, in seconds.
    """
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ours = timers()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    future.add_done_callback(wake)
    if timeout < math.inf:
        ours.start(timeout, wake)
    try:
        await waiter
    finally:
        ours.stop(wake)
        future.remove_done_callback(wake)


def _log_failure(write: asyncio.Future[T]) -> None:
    if not write.cancelled() and (error := write.exception()) is not None:
        logger.error("A write failed after its caller had gone: %s", error)
