"""Lets no owner keep the others from the database.

Calls wait in one queue for a connection. Each owner has at most as many calls in it as
there are connections. So another owner's call waits for about that many, and not for
hundreds that one script has sent at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from .errors import DatabaseTimeoutError

T = TypeVar("T")


class Turns:
    """Limits how many calls of an owner are at the database at the same time.

    Args:
        most: How many; the owner's others wait.
        timeout: How long they wait, in seconds.
    """

    def __init__(self, most: int, timeout: float) -> None:
        self._most = most
        self._timeout = timeout
        # The calls hold the semaphore of their owner: with the last one it vanishes.
        self._busy: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def run(self, owner: str | None, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, when it is the owner's turn.

        Args:
            owner: Who calls; None for what serves nobody in particular.
            call: What to do.

        Raises:
            DatabaseTimeoutError: The owner's other calls took too long.
        """
        if owner is None:
            return await call()
        semaphore = self._busy.setdefault(owner, asyncio.Semaphore(self._most))
        try:
            async with asyncio.timeout(self._timeout):
                await semaphore.acquire()
        except TimeoutError:
            raise DatabaseTimeoutError(
                f"{self._most} other calls of the same owner took longer than "
                f"{self._timeout:g} s."
            ) from None
        try:
            return await call()
        finally:
            semaphore.release()
