"""Timers for time-outs: they cost little, and go off a little late.

Nearly every time-out is set, and then not needed. The event loop's own timers take longer
to set and to unset than all else around a statement; so one of them looks after all of
ours.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

_TICK = 0.05  # how late a timer may go off, in seconds


class Timers:
    """The timers of an event loop."""

    def __init__(self) -> None:
        self._due: dict[Callable[[], None], float] = {}
        self._is_ticking = False

    def start(self, seconds: float, ring: Callable[[], None]) -> None:
        """Call something after a time, unless it is stopped before.

        Args:
            seconds: How long to wait.
            ring: What to call; what is started already is started anew.
        """
        loop = asyncio.get_running_loop()
        self._due[ring] = loop.time() + seconds
        if not self._is_ticking:
            self._is_ticking = True
            loop.call_later(_TICK, self._tick, loop)

    def stop(self, ring: Callable[[], None]) -> None:
        """Call something no more."""
        self._due.pop(ring, None)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for ring in [ring for ring, due in self._due.items() if due <= now]:
            del self._due[ring]
            ring()
        self._is_ticking = bool(self._due)
        if self._is_ticking:
            loop.call_later(_TICK, self._tick, loop)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Timers] = WeakKeyDictionary()


def timers() -> Timers:
    """Give the timers of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Timers()
    return found
