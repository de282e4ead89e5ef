"""How long calls to a server wait, and in which order they are served."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from .timers import timers

C = TypeVar("C")

PATIENCE = 1.0
"""How long a server may take to cancel a statement, in seconds."""


class Turns(Generic[C]):
    """Lets so many calls at a time have a connection (R33); the first to come is served first.

    A connection that is given back while others wait is theirs at once: to give it to the
    driver's pool, and to take it from there again, costs as much as a statement.

    Args:
        count: How many calls.

    Attributes:
        idle: Connections that are at hand for those who come next.
    """

    def __init__(self, count: int) -> None:
        self.idle: list[C] = []
        self._free = asyncio.Semaphore(count)
        self._waiting = 0

    async def take(self, connect: Callable[[], Awaitable[C]]) -> C:
        """Wait for a turn, and give an idle connection or else one that `connect` makes.

        The turn is over with `end`, or if no connection can be made.
        """
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            return self.idle.pop() if self.idle else await connect()
        except BaseException:
            self.end()
            raise

    def is_awaited(self) -> bool:
        """Tell whether somebody waits for a turn."""
        return self._waiting > 0

    def end(self) -> None:
        """End a turn."""
        self._free.release()


class Deadline:
    """Limits the time of a block, as `asyncio.timeout`, which Python 3.10 does not have.

    The task is cancelled, and once more after PATIENCE: a driver that is cancelled has the
    server cancel the statement and awaits the answer, which does not come where the
    network has lost the server.

    Args:
        seconds: How long the block may take.

    Raises:
        TimeoutError: It took longer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._cancellations = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._others = _count_cancellations(task)
        self._timers = timers()
        if self._seconds < math.inf:
            self._timers.start(self._seconds, self._cancel)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timers.stop(self._cancel)
        if self._cancellations:
            # Or what limits the caller's own time would take ours for its.
            for _ in range(self._cancellations):
                _take_back_cancellation(self._task)
            is_ours = _count_cancellations(self._task) <= self._others
            if is_ours and exc_type is asyncio.CancelledError:
                raise TimeoutError from None

    def _cancel(self) -> None:
        self._cancellations += 1
        self._task.cancel()
        self._timers.start(PATIENCE, self._cancel)


# Python 3.10 has neither method, since it does not count cancellations.


def _count_cancellations(task: "asyncio.Task[Any]") -> int:
    count: int = getattr(task, "cancelling", _zero)()
    return count


def _take_back_cancellation(task: "asyncio.Task[Any]") -> None:
    getattr(task, "uncancel", _zero)()


def _zero() -> int:
    return 0
