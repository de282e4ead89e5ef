"""Lets no owner keep the others from the database.

Calls wait in one queue for a connection. Each owner has at most as many calls in it as
there are connections. So another owner's call waits for about that many, and not for
hundreds that one script has sent at once.
"""

import asyncio
from weakref import WeakValueDictionary

NOBODY = ""
"""The owner of calls that serve nobody in particular, such as migrations."""


class Turns:
    """Limits how many calls of an owner are at the database at the same time.

    Args:
        most: How many; the owner's others wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # The calls hold the semaphore of their owner: with the last one it vanishes.
        self._busy: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, owner: str) -> asyncio.Semaphore:
        """Return what an owner's call has to acquire, and then to release."""
        semaphore = self._busy.get(owner)
        if semaphore is None:
            semaphore = self._busy[owner] = asyncio.Semaphore(self._most)
        return semaphore
